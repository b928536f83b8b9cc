// Content in pieces: a word that no request may have and that no response shows, of
// any length and without storing it; and an integration that answers while it reads.
use postern::*;

const WORD: &[u8] = b"sesame";

struct Pieces;

fn find(text: &[u8]) -> Option<usize> {
    text.windows(WORD.len()).position(|w| w == WORD)
}

impl Plugin for Pieces {
    fn configure(_: &str) -> Result<Self> {
        Ok(Pieces)
    }

    fn request_body(&mut self, r: Request, p: Piece) -> Result<Verdict> {
        let piece = p.bytes()?;
        if find(&piece).is_some() {
            r.set_message("a word is missing its door")?;
            return Ok(Verdict::Refuse);
        }
        if !p.is_last() {
            p.keep(piece.len().min(WORD.len() - 1))?; // it could be the word's beginning
        }
        Ok(Verdict::Continue)
    }

    fn response_body(&mut self, _: Request, _: Response, p: Piece) -> Result<()> {
        let piece = p.bytes()?;
        let mut rest = &piece[..];
        while let Some(at) = find(rest) {
            p.write(&rest[..at])?;
            p.write("******")?;
            rest = &rest[at + WORD.len()..];
        }
        let kept = if p.is_last() { 0 } else { rest.len().min(WORD.len() - 1) };
        p.write(&rest[..rest.len() - kept])?;
        p.keep(kept)
    }

    fn integrate(&mut self, r: Request, to: Response) -> Result<()> {
        to.headers().set("content-type", "text/plain")?;
        let mut buffer = vec![0; 8192];
        loop {
            match r.incoming().read(&mut buffer)? {
                0 => return to.outgoing().write(""), // a head also for an answer without content
                n => to.outgoing().write(buffer[..n].to_ascii_uppercase())?,
            }
        }
    }
}

export!(Pieces: request_body, response_body, integrate);

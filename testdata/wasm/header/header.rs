// The smallest useful filter, for measuring: it reads one header and sets one.
use postern::*;

struct Header;

impl Plugin for Header {
    fn configure(_: &str) -> Result<Self> {
        Ok(Header)
    }

    fn request(&mut self, r: Request, _: Response) -> Result<Verdict> {
        if let Some(agent) = r.header("user-agent") {
            r.headers().set("x-agent", &agent)?;
        }
        Ok(Verdict::Continue)
    }
}

export!(Header: request);

// Answers what each of the pure capability groups says; header x-do names it, and
// x-in is its input.
use crypto::{Algorithm, Key};
use postern::*;
use text::{Coding, Regex};

struct Groups {
    key: Key,
    regex: Regex,
}

fn document(input: &str) -> Result<String> {
    let d = match json::parse(input) {
        Ok(d) => d,
        Err(_) => return Ok("none".into()),
    };
    let before = format!("{}{}{}", d.count("$.a"), d.name("$", 0).unwrap_or_default(), d.get("$.a[1].b").unwrap_or_else(|| "none".into()));
    d.set_text("$.n", "\"\n")?;
    d.delete("$.a")?;
    Ok(before + &String::from_utf8_lossy(&d.write()?))
}

impl Groups {
    fn result(&self, r: Request, what: &str, input: &str) -> Result<String> {
        let hex = |b: Vec<u8>| text::encode(Coding::Hex, b);
        let none = || "none".to_string();
        Ok(match what {
            "hash" => hex(crypto::hash(Algorithm::Sha256, input)?)?,
            "hmac" => hex(crypto::hmac(Algorithm::Sha256, "key", input)?)?,
            "equal" => crypto::equal(input, "same").to_string(),
            "jwt" => match self.key.verify_jwt(input)? {
                Some(claims) => json::parse(claims)?.get("$.sub").unwrap_or_default(),
                None => none(),
            },
            "find" => self.regex.find(input, 2)?.unwrap_or_else(none),
            "match" => self.regex.is_match(input)?.to_string(),
            "replace" => self.regex.replace(input, "$2 $1")?,
            "encode" => text::encode(Coding::Base64Url, input)?,
            "decode" => match text::decode(Coding::Base64, input) {
                Ok(b) => String::from_utf8_lossy(&b).into_owned(),
                Err(_) => none(),
            },
            "json" => document(input)?,
            "entries" => {
                let all: String = r.query().entries().map(|(name, value)| format!(";{}={}", name, value)).collect();
                format!("{}{}", r.query().len(), all)
            }
            _ => "unknown".into(),
        })
    }
}

impl Plugin for Groups {
    fn configure(config: &str) -> Result<Self> {
        let keys = json::parse(config)?.get("$.keys").unwrap_or_default();
        Ok(Groups { key: Key::load(&keys)?, regex: Regex::new("([a-z]+)-([0-9]+)")? })
    }

    fn request(&mut self, r: Request, to: Response) -> Result<Verdict> {
        let result = self.result(r, &r.header("x-do").unwrap_or_default(), &r.header("x-in").unwrap_or_default())?;
        to.answer(200, "text/plain", result)
    }
}

export!(Groups: request);

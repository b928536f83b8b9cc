// An authorizer: it lets in who knows the token of the plugin's config,
// config = { token = "…" }.
use postern::*;

struct Guard {
    token: String,
}

impl Plugin for Guard {
    fn configure(config: &str) -> Result<Self> {
        match json::parse(config)?.get("$.token") {
            Some(token) if !token.is_empty() => Ok(Guard { token }),
            _ => Err("config needs a token: config = { token = \"…\" }".into()),
        }
    }

    fn authorize(&mut self, r: Request) -> Result<Decision> {
        let given = r.header("authorization").unwrap_or_default();
        let given = match given.strip_prefix("Bearer ") {
            Some(token) => token,
            None => return Ok(Decision::Unauthenticated),
        };
        if !crypto::equal(given, &self.token) {
            return Ok(Decision::Deny);
        }
        r.set_principal("bearer")?;
        r.set_context("stage", &r.stage())?;
        Ok(Decision::Allow)
    }
}

export!(Guard: authorize);

// An integration: it greets whom the path names.
use postern::*;

struct Hello;

impl Plugin for Hello {
    fn configure(_: &str) -> Result<Self> {
        Ok(Hello)
    }

    fn integrate(&mut self, r: Request, to: Response) -> Result<()> {
        let name = r.path_params().get("name").unwrap_or_default();
        let greeting = r.stage_variables().get("greeting").unwrap_or_else(|| "Hello".into());
        let message = json::quote(&format!("{}, {}!", greeting, name));
        to.reply(200, "application/json", format!(r#"{{"message":{}}}"#, message))
    }
}

export!(Hello: integrate);

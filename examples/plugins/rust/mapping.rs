// Mappings for a backend that speaks another JSON, and a check of what it is sent.
use postern::*;

struct Mapping;

impl Plugin for Mapping {
    fn configure(_: &str) -> Result<Self> {
        Ok(Mapping)
    }

    // The content has to be an object with a name.
    fn validate(&mut self, r: Request) -> Result<Judgement> {
        let limit = r.query().get("limit").unwrap_or_default();
        if !limit.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Judgement::InvalidParameters);
        }
        match json::open(r.body()) {
            Ok(document) if document.kind("$.name") == Some(json::Kind::String) => Ok(Judgement::Valid),
            _ => Ok(Judgement::InvalidBody),
        }
    }

    // {"name":N} becomes {"name":N,"from":ADDRESS}.
    fn map_request(&mut self, r: Request, to: Backend) -> Result<()> {
        let document = json::open(r.body())?;
        document.set_text("$.from", &r.source_ip())?;
        to.headers().set("x-api", &r.api_id())?;
        document.write_to(to.body())
    }

    // {"pet":P} becomes {"data":{"pet":P}}; the backend's 404 becomes 410.
    fn map_response(&mut self, _: Request, to: Response) -> Result<()> {
        if to.backend_status() == "404" {
            to.set_status(410)?;
        }
        let was = to.body().text()?;
        to.headers().set("content-type", "application/json")?;
        to.body().set(format!(r#"{{"data":{}}}"#, was))
    }
}

export!(Mapping: validate, map_request, map_response);

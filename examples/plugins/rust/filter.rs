// A filter: every request and its answer carry a trace id, and what lies below
// /internal is hidden.
use postern::*;

struct Filter;

impl Plugin for Filter {
    fn configure(_: &str) -> Result<Self> {
        Ok(Filter)
    }

    fn request(&mut self, r: Request, to: Response) -> Result<Verdict> {
        if r.path().starts_with("/internal") {
            return to.answer(404, "application/json", r#"{"message":"not here"}"#);
        }
        let trace = r.header("x-trace").unwrap_or_else(|| r.id());
        r.headers().set("x-trace", &trace)?;
        r.bag().set("trace", &trace)?;
        Ok(Verdict::Continue)
    }

    fn response(&mut self, r: Request, to: Response) -> Result<()> {
        if let Some(trace) = r.bag().get("trace") {
            to.headers().set("x-trace", &trace)?;
        }
        to.headers().remove("x-powered-by")?;
        Ok(())
    }
}

export!(Filter: request, response);

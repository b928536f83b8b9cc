// Uses the groups that have to be granted, as header x-do says; x-in is an address.
use core::time::Duration;
use metric::{Kind, Metric};
use postern::*;

struct State {
    counter: Metric,
    gauge: Metric,
    histogram: Metric,
}

const FOREVER: Duration = Duration::from_secs(0);

fn value() -> Result<String> {
    Ok(kv::get("a")?.map_or("none".into(), |b| String::from_utf8_lossy(&b).into_owned()))
}

fn values() -> Result<String> {
    let mut all = vec![value()?];
    kv::set("a", "one", FOREVER)?;
    all.push("0".into());
    all.push(value()?);
    all.push((kv::compare_and_set("a", "two", "three", FOREVER)? as i32).to_string());
    all.push((kv::compare_and_set("a", "one", "three", FOREVER)? as i32).to_string());
    all.push(value()?);
    all.push(kv::add("n", 2, FOREVER)?.to_string());
    all.push(kv::add("n", 3, FOREVER)?.to_string());
    kv::delete("a")?;
    kv::delete("n")?;
    all.push(value()?);
    Ok(all.join(" "))
}

fn fetch(url: &str) -> Result<String> {
    let one = match http::Call::new("POST", url).header("X-Ask", "c").body(b"ping").send() {
        Ok(one) => one,
        Err(Error::Code(code)) => return Ok(code.to_string()),
        Err(e) => return Err(e),
    };
    let other = http::Call::new("GET", url).timeout(Duration::from_secs(1)).send()?;
    let said = one.header("x-say")?.unwrap_or_else(|| "none".into());
    Ok(format!("{} {} {} {}", one.status()?, said, String::from_utf8_lossy(&one.read_all()?), other.status()?))
}

impl Plugin for State {
    fn configure(_: &str) -> Result<Self> {
        Ok(State {
            counter: Metric::define(Kind::Counter, "calls")?,
            gauge: Metric::define(Kind::Gauge, "level")?,
            histogram: Metric::define(Kind::Histogram, "size")?,
        })
    }

    fn request(&mut self, r: Request, to: Response) -> Result<Verdict> {
        let answer = match r.header("x-do").as_deref() {
            Some("kv") => values()?,
            Some("metric") => {
                self.counter.add(2)?;
                self.gauge.set(-7)?;
                self.histogram.observe(100)?;
                "0".into()
            }
            _ => fetch(&r.header("x-in").unwrap_or_default())?,
        };
        to.answer(200, "text/plain", answer)
    }
}

export!(State: request);

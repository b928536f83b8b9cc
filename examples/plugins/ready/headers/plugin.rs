// A filter and a mapping: it removes, renames, sets and adds header fields, with
// values that are made of the request.
//
//	config = { request = { set = { X-Client = "{source_ip}" }, remove = ["X-Debug"] } }
use postern::*;

struct Headers {
    request: Edits,
    response: Edits,
    backend: Edits,
}

/// What is done to one message's header fields, in this order.
#[derive(Default)]
struct Edits {
    remove: Vec<String>,
    rename: Vec<(String, String)>,
    set: Vec<(String, Template)>,
    add: Vec<(String, Template)>,
    default: Vec<(String, Template)>,
}

/// A value: texts, and places that are filled in for each request.
type Template = Vec<Part>;

enum Part {
    Text(String),
    Field(i32),
    Status,
    Entry(fn(Request) -> Map, String),
}

impl Plugin for Headers {
    fn configure(config: &str) -> Result<Self> {
        let config = json::parse(config)?;
        Ok(Headers {
            request: edits(config, "request")?,
            response: edits(config, "response")?,
            backend: edits(config, "backend")?,
        })
    }

    fn request(&mut self, r: Request, to: Response) -> Result<Verdict> {
        match self.request.apply(r, r.headers()) {
            // The client's Connection field names one of ours, to have it dropped on
            // the way. RFC 9110, 7.6.1.
            Err(Error::Code(raw::DENIED)) => to.answer(400, "application/json", r#"{"message":"Bad Request"}"#),
            Err(e) => Err(e),
            Ok(()) => Ok(Verdict::Continue),
        }
    }

    fn response(&mut self, r: Request, to: Response) -> Result<()> {
        self.response.apply(r, to.headers())
    }

    fn map_request(&mut self, r: Request, to: Backend) -> Result<()> {
        self.backend.apply(r, to.headers())
    }
}

export!(Headers: request, response, map_request);

impl Edits {
    fn apply(&self, r: Request, headers: Map) -> Result<()> {
        for name in &self.remove {
            headers.remove(name)?;
        }
        for (from, to) in &self.rename {
            if !headers.has(from) {
                continue;
            }
            let values: Vec<String> = headers.entries().filter(|(name, _)| name.eq_ignore_ascii_case(from)).map(|(_, value)| value).collect();
            headers.remove(from)?;
            for value in values {
                headers.add(to, &value)?;
            }
        }
        for (name, value) in &self.set {
            headers.set(name, &fill(value, r))?;
        }
        for (name, value) in &self.add {
            headers.add(name, &fill(value, r))?;
        }
        for (name, value) in &self.default {
            if !headers.has(name) {
                headers.set(name, &fill(value, r))?;
            }
        }
        Ok(())
    }
}

/// Reads one section of the config. What the gateway would refuse for each
/// request is refused here.
fn edits(config: json::Document, section: &str) -> Result<Edits> {
    let mut e = Edits::default();
    let path = |key: &str| format!("$.{}.{}", section, key);
    for i in 0..config.count(&path("remove")) {
        let name = config.get(&format!("{}[{}]", path("remove"), i)).unwrap_or_default();
        e.remove.push(checked(name, section)?);
    }
    for (from, to) in members(config, &path("rename")) {
        e.rename.push((checked(from, section)?, checked(to, section)?));
    }
    for (list, key) in [(&mut e.set, "set"), (&mut e.add, "add"), (&mut e.default, "default")] {
        for (name, value) in members(config, &path(key)) {
            let value = template(&value, section).map_err(|why| format!("{}.{}.{}: {}", section, key, name, why))?;
            list.push((checked(name, section)?, value));
        }
    }
    Ok(e)
}

/// The members of an object, with a list's elements as members of one name.
fn members(config: json::Document, path: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for i in 0..config.count(path) {
        let name = config.name(path, i).unwrap_or_default();
        let member = format!("{}['{}']", path, name.replace('\\', "\\\\").replace('\'', "\\'"));
        if config.kind(&member) == Some(json::Kind::Array) {
            for j in 0..config.count(&member) {
                all.push((name.clone(), config.get(&format!("{}[{}]", member, j)).unwrap_or_default()));
            }
        } else {
            all.push((name, config.get(&member).unwrap_or_default()));
        }
    }
    all
}

/// Fields that frame a message or belong to a connection, and others that only
/// the gateway may say.
const GATEWAY: [&str; 14] = [
    "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "expect", "http2-settings", "x-amzn-requestid", "x-amz-apigw-id", "x-forwarded-for",
];

fn checked(name: String, section: &str) -> Result<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("{}: {:?} can't be a header's name", section, name).into());
    }
    if GATEWAY.iter().any(|n| n.eq_ignore_ascii_case(&name)) {
        return Err(format!("{}: {} is the gateway's own; no plugin can change it", section, name).into());
    }
    Ok(name)
}

/// Takes a value apart: "{source_ip}" is a place, "{{" a brace.
fn template(text: &str, section: &str) -> std::result::Result<Template, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.starts_with('{') {
            plain.push('{');
            rest = &rest[1..];
            continue;
        }
        let end = rest.find('}').ok_or("\"{\" has no \"}\"; \"{{\" is a brace")?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(place(&rest[..end], section)?);
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    if plain.bytes().any(|b| b < 0x20 && b != b'\t' || b == 0x7f) {
        return Err("a header's value has no control characters".into());
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

fn place(name: &str, section: &str) -> std::result::Result<Part, String> {
    if let Some((map, key)) = name.split_once('.') {
        let map: fn(Request) -> Map = match map {
            "header" => Request::headers,
            "query" => Request::query,
            "path" => Request::path_params,
            "variable" => Request::stage_variables,
            "context" => Request::context,
            _ => return Err(format!("there is no {{{}.…}}: there are header, query, path, variable and context", map)),
        };
        return Ok(Part::Entry(map, key.into()));
    }
    let fields = [
        ("method", raw::FIELD_METHOD), ("path", raw::FIELD_PATH), ("full_path", raw::FIELD_FULL_PATH), ("raw_query", raw::FIELD_RAW_QUERY),
        ("route_key", raw::FIELD_ROUTE_KEY), ("resource", raw::FIELD_RESOURCE), ("stage", raw::FIELD_STAGE), ("api_id", raw::FIELD_API_ID),
        ("request_id", raw::FIELD_REQUEST_ID), ("source_ip", raw::FIELD_SOURCE_IP), ("protocol", raw::FIELD_PROTOCOL),
        ("host", raw::FIELD_HOST), ("scheme", raw::FIELD_SCHEME), ("principal", raw::FIELD_PRINCIPAL),
    ];
    if name == "status" && section == "response" {
        return Ok(Part::Status);
    }
    match fields.iter().find(|f| f.0 == name) {
        Some(f) => Ok(Part::Field(f.1)),
        None => Err(format!("there is no {{{}}}; \"{{{{\" is a brace", name)),
    }
}

/// Makes the value for one request. What comes from the client may have
/// characters that no header can: they are percent-encoded.
fn fill(template: &[Part], r: Request) -> String {
    let mut value = String::new();
    for part in template {
        let text = match part {
            Part::Text(text) => {
                value.push_str(text);
                continue;
            }
            Part::Field(number) => r.field(*number),
            Part::Status => r.field(raw::FIELD_STATUS),
            Part::Entry(map, key) => map(r).get(key).unwrap_or_default(),
        };
        for c in text.chars() {
            match c {
                '\t' => value.push(c),
                '\0'..='\x1f' | '\x7f' => value.push_str(&format!("%{:02X}", c as u32)),
                _ => value.push(c),
            }
        }
    }
    value
}

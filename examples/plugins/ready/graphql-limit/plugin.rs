// A validator: it refuses GraphQL queries that are too deep or ask for too much,
// before a backend has work with them. A lexer and a parser of its own read what
// the limits are about and nothing else.
//
//	config = { depth = 8, fields = 200 }
use postern::*;
use std::collections::HashMap;

struct Limiter {
    limits: Limits,
    batch: usize,
    persisted: bool,
}

#[derive(Clone, Copy)]
struct Limits {
    depth: u32,
    fields: u32,
    aliases: u32,
    directives: u32,
    tokens: u32,
    introspection: bool,
}

impl Plugin for Limiter {
    fn configure(config: &str) -> Result<Self> {
        let config = json::parse(config)?;
        let number = |key: &str, otherwise: u32| config.get(key).and_then(|n| n.parse().ok()).unwrap_or(otherwise);
        let limits = Limits {
            depth: number("$.depth", 10),
            fields: number("$.fields", 500),
            aliases: number("$.aliases", 30),
            directives: number("$.directives", 50),
            tokens: number("$.tokens", 5000),
            introspection: config.get("$.introspection").as_deref() == Some("true"),
        };
        let persisted = config.get("$.persisted").as_deref() == Some("true");
        Ok(Limiter { limits, batch: number("$.batch", 1) as usize, persisted })
    }

    fn validate(&mut self, r: Request) -> Result<Judgement> {
        match self.judge(r) {
            Ok(()) => Ok(Judgement::Valid),
            Err(why) => {
                r.set_message(&why)?;
                Ok(Judgement::InvalidBody)
            }
        }
    }
}

export!(Limiter: validate);

impl Limiter {
    /// Looks at every place where a server could read a query.
    fn judge(&self, r: Request) -> std::result::Result<(), String> {
        let mut queries = Vec::new();
        // The query as sent: a client may write thousands of parameters.
        for parameter in r.raw_query().split(|c| c == '&' || c == ';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.len() <= 3 * "query".len() && form(name)?.eq_ignore_ascii_case("query") {
                queries.push(form(value)?);
            }
        }
        if queries.len() > 1 {
            return Err("more than one query in the URL".into());
        }
        if r.method() != "GET" && r.method() != "HEAD" {
            self.content(r, &mut queries)?;
        }
        if queries.is_empty() && !self.persisted {
            return Err("no query".into());
        }
        queries.iter().try_for_each(|q| self.limits.check(q))
    }

    fn content(&self, r: Request, queries: &mut Vec<String>) -> std::result::Result<(), String> {
        if r.headers().entries().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).count() > 1 {
            return Err("more than one content type".into());
        }
        let kind = r.header("content-type").unwrap_or_default().to_ascii_lowercase();
        match kind.split(';').next().unwrap_or("").trim() {
            "application/graphql" => {
                queries.push(r.body().text().map_err(|_| "the content isn't UTF-8")?);
                Ok(())
            }
            "application/json" | "application/graphql+json" => {
                let document = json::open(r.body()).map_err(|_| "the content isn't JSON")?;
                if document.kind("$") != Some(json::Kind::Array) {
                    return self.operation(document, "$", queries);
                }
                let count = document.count("$");
                if count > self.batch {
                    return Err(format!("{} queries at once; at most {} are allowed", count, self.batch));
                }
                (0..count).try_for_each(|i| self.operation(document, &format!("$[{}]", i), queries))
            }
            _ => Err("the content type is neither application/json nor application/graphql".into()),
        }
    }

    /// Takes the query out of one operation. Servers don't agree about which of
    /// two members counts, nor about the case of their names: there may be one.
    fn operation(&self, document: json::Document, path: &str, queries: &mut Vec<String>) -> std::result::Result<(), String> {
        if document.kind(path) != Some(json::Kind::Object) {
            return Err("an operation is a JSON object".into());
        }
        let names = (0..document.count(path)).filter_map(|i| document.name(path, i)).filter(|n| n.to_lowercase() == "query");
        match names.collect::<Vec<_>>().as_slice() {
            [] if self.persisted => Ok(()),
            [] => Err("no query".into()),
            [one] if one == "query" => {
                let at = format!("{}.query", path);
                if document.kind(&at) != Some(json::Kind::String) {
                    return Err("the query isn't a text".into());
                }
                queries.push(document.get(&at).unwrap_or_default());
                Ok(())
            }
            _ => Err("more than one query in one operation".into()),
        }
    }
}

/// Decodes a part of the query string.
fn form(text: &str) -> std::result::Result<String, String> {
    if !text.contains(|c| c == '%' || c == '+') {
        return Ok(text.into());
    }
    let bytes = text::decode(text::Coding::Form, text).map_err(|_| "an escape in the URL is broken")?;
    String::from_utf8(bytes).map_err(|_| "the query isn't UTF-8".into())
}

// ---- lexer: GraphQL, "Lexical Tokens"

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Punctuator(u8), // b'.' is "..."
    Value,          // a number or a text
    End,
}

struct Lexer<'a> {
    text: &'a [u8],
    source: &'a str,
    at: usize,
    left: u32, // tokens that may still come
}

type Parsed<T> = std::result::Result<T, String>;

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Parsed<Token<'a>> {
        self.skip();
        let begin = self.at;
        let c = match self.text.get(begin) {
            None => return Ok(Token::End),
            Some(c) => *c,
        };
        if self.left == 0 {
            return Err("the query has too many tokens".into());
        }
        self.left -= 1;
        self.at += 1;
        match c {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                self.take(|c| c.is_ascii_alphanumeric() || c == b'_');
                Ok(Token::Name(&self.source[begin..self.at]))
            }
            b'0'..=b'9' | b'-' => {
                self.take(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
                Ok(Token::Value)
            }
            b'"' => self.string(),
            b'.' if self.text[begin..].starts_with(b"...") => {
                self.at += 2;
                Ok(Token::Punctuator(b'.'))
            }
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => Ok(Token::Punctuator(c)),
            _ => Err(format!("byte {} of the query begins nothing", begin)),
        }
    }

    fn take(&mut self, part: impl Fn(u8) -> bool) {
        while self.at < self.text.len() && part(self.text[self.at]) {
            self.at += 1;
        }
    }

    /// Skips what means nothing: blanks, line ends, commas, comments, the mark of UTF-8.
    fn skip(&mut self) {
        loop {
            self.take(|c| b" \t\r\n,".contains(&c));
            if self.text[self.at..].starts_with(b"\xef\xbb\xbf") {
                self.at += 3;
            } else if self.text.get(self.at) == Some(&b'#') {
                self.take(|c| c != b'\n' && c != b'\r');
            } else {
                return;
            }
        }
    }

    /// Reads a text whose first quote has been read.
    fn string(&mut self) -> Parsed<Token<'a>> {
        let block = self.text[self.at..].starts_with(b"\"\"");
        if block {
            self.at += 2;
        }
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            if block && rest.starts_with(b"\\\"\"\"") {
                self.at += 4;
            } else if block && rest.starts_with(b"\"\"\"") {
                self.at += 3;
                return Ok(Token::Value);
            } else if !block && (rest[0] == b'\n' || rest[0] == b'\r') {
                break;
            } else if !block && rest[0] == b'\\' {
                self.at += 2;
            } else {
                self.at += 1;
                if !block && rest[0] == b'"' {
                    return Ok(Token::Value);
                }
            }
        }
        Err("a text in the query doesn't end".into())
    }
}

// ---- parser: what a definition asks for, fragments apart

/// What one operation or fragment has of its own.
#[derive(Default)]
struct Definition<'a> {
    depth: u32,
    fields: u32,
    aliases: u32,
    directives: u32,
    spreads: Vec<(&'a str, u32)>, // fragments, and how deep they are spread
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    limits: Limits,
    nesting: u32, // of braces, which inline fragments open without being fields
}

const MAX_DEFINITIONS: usize = 200;

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Parsed<Token<'a>> {
        let token = self.token;
        self.token = self.lexer.next()?;
        Ok(token)
    }

    fn skip(&mut self, c: u8) -> Parsed<bool> {
        if self.token != Token::Punctuator(c) {
            return Ok(false);
        }
        self.advance()?;
        Ok(true)
    }

    fn name(&mut self) -> Parsed<&'a str> {
        match self.advance()? {
            Token::Name(name) => Ok(name),
            _ => Err("the query isn't GraphQL: a name is missing".into()),
        }
    }

    /// Skips what stands in parentheses: arguments, variables. Values nest, so
    /// brackets are counted.
    fn parentheses(&mut self) -> Parsed<()> {
        if !self.skip(b'(')? {
            return Ok(());
        }
        let mut open = vec![b')'];
        while let Some(&wanted) = open.last() {
            match self.advance()? {
                Token::Punctuator(b'(') => open.push(b')'),
                Token::Punctuator(b'[') => open.push(b']'),
                Token::Punctuator(b'{') => open.push(b'}'),
                Token::Punctuator(c) if c == wanted => {
                    open.pop();
                }
                Token::Punctuator(b')') | Token::Punctuator(b']') | Token::Punctuator(b'}') | Token::End => {
                    return Err("the query isn't GraphQL: brackets don't match".into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn directives(&mut self, d: &mut Definition<'a>) -> Parsed<()> {
        while self.skip(b'@')? {
            self.name()?;
            self.parentheses()?;
            d.directives += 1;
        }
        Ok(())
    }

    /// Reads a selection set whose fields are at depth.
    fn selections(&mut self, d: &mut Definition<'a>, depth: u32) -> Parsed<()> {
        if !self.skip(b'{')? {
            return Err("the query isn't GraphQL: \"{\" is missing".into());
        }
        self.nesting += 1;
        if depth > self.limits.depth || self.nesting > 2 * self.limits.depth + 8 {
            return Err(format!("the query is deeper than {}", self.limits.depth));
        }
        loop {
            match self.advance()? {
                Token::Punctuator(b'}') => break,
                Token::Punctuator(b'.') => self.spread(d, depth)?,
                Token::Name(name) => self.field(d, depth, name)?,
                _ => return Err("the query isn't GraphQL: a field is missing".into()),
            }
        }
        self.nesting -= 1;
        Ok(())
    }

    fn field(&mut self, d: &mut Definition<'a>, depth: u32, mut name: &'a str) -> Parsed<()> {
        if self.skip(b':')? {
            d.aliases += 1;
            name = self.name()?;
        }
        if !self.limits.introspection && (name == "__schema" || name == "__type") {
            return Err("introspection isn't allowed".into());
        }
        d.fields += 1;
        d.depth = d.depth.max(depth);
        self.parentheses()?;
        self.directives(d)?;
        if self.token == Token::Punctuator(b'{') {
            self.selections(d, depth + 1)?;
        }
        Ok(())
    }

    /// Reads what follows "...": a fragment's name, or a fragment in place.
    fn spread(&mut self, d: &mut Definition<'a>, depth: u32) -> Parsed<()> {
        match self.token {
            Token::Name(name) if name != "on" => {
                self.advance()?;
                d.spreads.push((name, depth));
                self.directives(d)
            }
            _ => {
                if let Token::Name(_) = self.token {
                    self.advance()?;
                    self.name()?;
                }
                self.directives(d)?;
                self.selections(d, depth)
            }
        }
    }
}

// ---- limits

/// What a definition asks for with its fragments in place.
#[derive(Clone, Copy, Default)]
struct Total {
    depth: u32,
    fields: u32,
    aliases: u32,
    directives: u32,
}

enum State {
    UnderWay,
    Known(Total),
}

impl Limits {
    fn check(&self, query: &str) -> Parsed<()> {
        let lexer = Lexer { text: query.as_bytes(), source: query, at: 0, left: self.tokens };
        let mut p = Parser { lexer, token: Token::End, limits: *self, nesting: 0 };
        p.advance()?;
        let (mut operations, mut fragments) = (Vec::new(), HashMap::new());
        while p.token != Token::End {
            if operations.len() + fragments.len() == MAX_DEFINITIONS {
                return Err(format!("the query has more than {} definitions", MAX_DEFINITIONS));
            }
            let mut d = Definition::default();
            if p.token == Token::Punctuator(b'{') {
                p.selections(&mut d, 1)?;
                operations.push(d);
                continue;
            }
            match p.name()? {
                "query" | "mutation" | "subscription" => {
                    if let Token::Name(_) = p.token {
                        p.advance()?;
                    }
                    p.parentheses()?;
                    p.directives(&mut d)?;
                    p.selections(&mut d, 1)?;
                    operations.push(d);
                }
                "fragment" => {
                    let name = p.name()?;
                    if name == "on" || p.name()? != "on" {
                        return Err("the query isn't GraphQL: \"on\" is missing".into());
                    }
                    p.name()?;
                    p.directives(&mut d)?;
                    p.selections(&mut d, 1)?;
                    if fragments.insert(name, d).is_some() {
                        return Err("two fragments have the same name".into());
                    }
                }
                _ => return Err("the query isn't an operation or a fragment".into()),
            }
        }
        let mut known = HashMap::new();
        for name in fragments.keys() {
            // Also those that nobody spreads: servers may look at them.
            fragment(name, &fragments, &mut known)?;
        }
        operations.iter().try_for_each(|d| self.judge(&total(d, &fragments, &mut known)?))
    }

    fn judge(&self, t: &Total) -> Parsed<()> {
        for (what, number, limit) in [
            ("fields", t.fields, self.fields),
            ("aliases", t.aliases, self.aliases),
            ("directives", t.directives, self.directives),
        ] {
            if number > limit {
                return Err(format!("the query has more than {} {}", limit, what));
            }
        }
        if t.depth > self.depth {
            return Err(format!("the query is deeper than {}", self.depth));
        }
        Ok(())
    }
}

/// Adds a definition up. Numbers stay at their end: few fragments that spread each
/// other twice ask for more fields than can be counted.
fn total<'a>(d: &Definition<'a>, all: &HashMap<&'a str, Definition<'a>>, known: &mut HashMap<&'a str, State>) -> Parsed<Total> {
    let mut t = Total { depth: d.depth, fields: d.fields, aliases: d.aliases, directives: d.directives };
    for (name, at) in &d.spreads {
        let f = fragment(name, all, known)?;
        t.depth = t.depth.max(at - 1 + f.depth);
        t.fields = t.fields.saturating_add(f.fields);
        t.aliases = t.aliases.saturating_add(f.aliases);
        t.directives = t.directives.saturating_add(f.directives);
    }
    Ok(t)
}

fn fragment<'a>(name: &'a str, all: &HashMap<&'a str, Definition<'a>>, known: &mut HashMap<&'a str, State>) -> Parsed<Total> {
    match known.get(name) {
        Some(State::Known(t)) => return Ok(*t),
        Some(State::UnderWay) => return Err("a fragment spreads itself".into()),
        None => {}
    }
    let d = all.get(name).ok_or("a fragment is missing")?;
    known.insert(name, State::UnderWay);
    let t = total(d, all, known)?;
    known.insert(name, State::Known(t));
    Ok(t)
}

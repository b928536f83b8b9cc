// A filter: it looks for traces of attacks in requests, adds up what it finds, and
// refuses what adds up to too much.
//
//	config = { mode = "block", threshold = 5 }
use postern::text::Regex;
use postern::*;

// Where a rule looks.
const PATH: u8 = 1;
const QUERY: u8 = 2;
const HEADERS: u8 = 4;
const BODY: u8 = 8;
const INPUT: u8 = PATH | QUERY | BODY;
const ALL: u8 = INPUT | HEADERS;

/// The rules that are here from the start: id, score, where, words of which a text
/// has to have one before the expression is tried, expression.
#[rustfmt::skip]
const STARTER: &[(&str, u32, u8, &[&str], &str)] = &[
    ("sqli-union", 5, INPUT, &["union"], r"\bunion(?:\s|/\*.{0,50}?\*/|[+(])+(?:(?:all|distinct)(?:\s|/\*.{0,50}?\*/|[+(])+)?select\b"),
    ("sqli-tautology", 5, INPUT, &["or ", "or/", "or'", "or\"", "or(", "and ", "and/", "and'", "||", "&&"], r#"(?:['"`)](?:\s|/\*.{0,50}?\*/)*(?:\bor\b|\band\b|\|\||&&)(?:\s|/\*.{0,50}?\*/|[('"`])*(?:\w{0,40}['"`)\s]*(?:=|<>|\blike\b)['"`(\s]*(?:\w|$)|true\b))|\d(?:\s|/\*.{0,50}?\*/)+(?:or|and)(?:\s|/\*.{0,50}?\*/)+(?:\d+\s*(?:=|<>)\s*\d|true\b)"#),
    ("sqli-comment", 3, INPUT, &["--", "/*", "#"], r#"['"`)](?:\s|;)*(?:--(?:\s|\+|$)|/\*|#)|\d--(?:\s|$)"#),
    ("sqli-stacked", 5, INPUT, &[";"], r"['\d)]?\s*;\s*(?:(?:drop|alter|create|truncate)\s+(?:table|database|user|schema)\b|insert\s+into\b|delete\s+from\b|update\s+\w+\s+set\b|exec\b|shutdown\b)"),
    ("sqli-function", 5, INPUT, &["sleep", "benchmark", "waitfor", "xp_cmdshell", "load_file", "information_schema", "outfile", "extractvalue"], r"\b(?:(?:pg_)?sleep\s*\(\s*[\d'.]+\s*[)*,+-]|benchmark\s*\(\s*\d|waitfor\s+delay\b|xp_cmdshell\b|load_file\s*\(|information_schema\.|into\s+(?:out|dump)file\b|extractvalue\s*\()"),
    ("xss-script", 5, ALL, &["<script", "<iframe", "<object", "<embed", "<applet", "<svg", "<math"], r"<(?:script|iframe|object|embed|applet|svg|math)[\s/>]"),
    ("xss-handler", 4, INPUT, &["onerror", "onload", "onclick", "onmouse", "onfocus", "onblur", "ontoggle", "onanimation", "onpointer", "onkey", "onbegin"], r#"[\s"'/<]on(?:error|load|click|mouse\w{1,9}|focus\w{0,3}|blur|toggle|animation\w{1,9}|pointer\w{1,9}|key\w{1,5}|begin)\s*="#),
    ("xss-uri", 4, INPUT, &["javascript:", "vbscript:", "data:text/html", "javascript\t", "javascript\n"], r"(?:java|vb)script[\s]*:|data:text/html"),
    ("path-traversal", 5, INPUT | HEADERS, &["../", "..\\", "..;"], r"(?:^|[/\\=:\s])\.\.(?:[/\\]|;/)"),
    ("path-file", 5, INPUT, &["/etc/", "/proc/", "boot.ini", "win.ini", "/.git/", "/.env", "/.ssh/", "/.aws/", "/.htpasswd", "wp-config.php", "web-inf"], r"/etc/(?:passwd|shadow|group|hosts|sudoers)\b|/proc/(?:self|\d+)/|\b(?:boot|win)\.ini\b|/\.(?:git|ssh|aws)/|/\.(?:env|htpasswd)\b|wp-config\.php|\bweb-inf/"),
    ("shell-command", 5, INPUT, &[";", "|", "&", "$(", "`", "\n"], r"(?:[;|&\n`]|\$\()\s*(?:/(?:usr/)?s?bin/)?(?:cat|ls|id|whoami|uname|wget|curl|bash|sh|zsh|nc|ncat|python[23]?|perl|ping|chmod|chown|rm|kill|powershell|cmd(?:\.exe)?)(?:\s+[-/.\w$'\x22]|\s*[;|&`)]|\s*$)"),
    ("shellshock", 5, HEADERS, &["() {", "(){"], r"\(\)\s*\{"),
    ("jndi", 5, ALL, &["${"], r"\$\{\s*(?:jndi|lower|upper|env|sys|java|date|base64|::-|\$\{)"),
    ("template", 4, INPUT, &["{{", "<%", "#{", "${"], r"(?:\{\{|<%=?|[#$]\{)\s*(?:\d+\s*\*\s*\d+|.{0,60}(?:__class__|__globals__|constructor|getruntime|self\.|request\.|config\.|t\(java))"),
    ("php", 5, INPUT, &["<?", "php://", "phar://", "expect://", "zip://"], r"<\?(?:php|=)|\b(?:php|phar|expect|zip)://"),
    ("ssrf-metadata", 5, INPUT, &["169.254.169.254", "metadata.google", "100.100.100.200", "fd00:ec2::254"], r"169\.254\.169\.254|metadata\.google\.internal|100\.100\.100\.200|fd00:ec2::254"),
    ("xxe", 5, BODY, &["<!entity", "<!doctype"], r"<!(?:entity\b|doctype[^>]{0,200}(?:\bsystem\b|\bpublic\b|\[))"),
    ("deserialization", 5, ALL, &["ro0ab", "o:", "aced0005", "__proto__"], r#"\bro0ab[a-z0-9+/]|\baced0005|\bo:\d{1,3}:"[\w\\]{1,80}":\d+:\{|["'\[]__proto__["'\]]"#),
    ("header-splitting", 5, PATH | QUERY, &["\n", "\r"], r"[\r\n]\s*(?:set-cookie|location|content-(?:type|length)|transfer-encoding|http/1)\b"),
    ("scanner", 5, HEADERS, &["sqlmap", "nikto", "nuclei", "acunetix", "nessus", "masscan", "zgrab", "dirbuster", "gobuster", "wpscan", "havij", "ffuf"], r"(?m)^user-agent: .*\b(?:sqlmap|nikto|nuclei|acunetix|nessus|masscan|zgrab|dirbuster|gobuster|wpscan|havij|fuzz faster|ffuf)\b"),
];

/// Findings that no expression makes.
const NUL: (&str, u32) = ("nul-byte", 4);
const DOUBLE: (&str, u32) = ("double-encoding", 2);
const NOT_UTF8: (&str, u32) = ("not-utf8", 2);
const ENCODED: (&str, u32) = ("encoded-body", 5);
const COSTLY: (&str, u32) = ("too-costly", 5); // more than the gateway computes for one call

const MAX_RULES: usize = 128; // bits of a mask

struct Waf {
    rules: Vec<Rule>,
    words: Words,
    blocks: bool,
    threshold: u32,
    status: u16,
    body_limit: usize,
    refuses_large: bool,
    disabled: Vec<String>,
    excluded: Vec<Exclusion>,
}

struct Rule {
    id: String,
    score: u32,
    places: u8,
    regex: Regex,
}

struct Exclusion {
    path: String, // "/cms/*" for all below
    rules: Vec<String>,
}

/// What has been found in one request.
struct Findings<'a> {
    waf: &'a Waf,
    path: String,
    ids: Vec<&'a str>,
    score: u32,
}

impl Plugin for Waf {
    fn configure(config: &str) -> Result<Self> {
        let config = json::parse(config)?;
        let number = |key: &str, otherwise: usize| config.get(key).and_then(|n| n.parse().ok()).unwrap_or(otherwise);
        let mut waf = Waf {
            rules: Vec::new(),
            words: Words::default(),
            blocks: config.get("$.mode").as_deref() != Some("log"),
            threshold: number("$.threshold", 5) as u32,
            status: number("$.status", 403) as u16,
            body_limit: number("$.body_limit", 8192),
            refuses_large: config.get("$.large_body").as_deref() == Some("refuse"),
            disabled: list(config, "$.disable"),
            excluded: Vec::new(),
        };
        let mut words: Vec<Vec<String>> = Vec::new();
        if config.get("$.starter").as_deref() != Some("false") {
            for (id, score, places, hints, pattern) in STARTER {
                if !waf.disabled.iter().any(|d| d == id) {
                    waf.add(id.to_string(), *score, *places, pattern)?;
                    words.push(hints.iter().map(|h| h.to_string()).collect());
                }
            }
        }
        for i in 0..config.count("$.rules") {
            let at = |key: &str| format!("$.rules[{}].{}", i, key);
            let id = config.get(&at("id")).unwrap_or_default();
            let mut places = 0;
            for place in list(config, &at("in")) {
                places |= match place.as_str() {
                    "path" => PATH,
                    "query" => QUERY,
                    "headers" => HEADERS,
                    _ => BODY,
                };
            }
            let pattern = config.get(&at("pattern")).unwrap_or_default();
            waf.add(id, number(&at("score"), 5) as u32, if places == 0 { ALL } else { places }, &pattern)?;
            words.push(list(config, &at("contains")));
        }
        for i in 0..config.count("$.exclude") {
            let at = |key: &str| format!("$.exclude[{}].{}", i, key);
            let rules = list(config, &at("rules"));
            waf.excluded.push(Exclusion { path: config.get(&at("path")).unwrap_or_default(), rules });
        }
        waf.check_names()?;
        waf.words = Words::new(&words);
        Ok(waf)
    }

    fn request(&mut self, r: Request, to: Response) -> Result<Verdict> {
        let mut found = Findings { waf: self, path: r.path(), ids: Vec::new(), score: 0 };
        found.look(PATH, &found.decoded(found.path.clone().into_bytes()));
        let query = r.raw_query();
        if !query.is_empty() {
            let spaced = query.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
            found.look(QUERY, &found.decoded(spaced));
        }
        let too_large = found.fields_and_body(r)?;
        if found.ids.is_empty() && !too_large {
            return Ok(Verdict::Continue);
        }
        let over = found.score >= self.threshold;
        if log_enabled(Level::Warn) && !found.ids.is_empty() {
            let what = if !over { "noted" } else if self.blocks { "blocked" } else { "would block" };
            log(Level::Warn, &format!("{} request {} with score {}: {}", what, r.id(), found.score, found.ids.join(", ")));
        }
        match (self.blocks, over, too_large) {
            (true, true, _) => to.answer(self.status, "application/json", r#"{"message":"Forbidden"}"#),
            (true, _, true) => to.answer(413, "application/json", r#"{"message":"Request Entity Too Large"}"#),
            _ => Ok(Verdict::Continue),
        }
    }
}

export!(Waf: request);

impl Waf {
    fn add(&mut self, id: String, score: u32, places: u8, pattern: &str) -> Result<()> {
        if self.rules.len() == MAX_RULES {
            return Err(format!("there are more than {} rules", MAX_RULES).into());
        }
        if id.is_empty() || self.rules.iter().any(|r| r.id == id) {
            return Err(format!("rule {:?}: an id is missing or there twice", id).into());
        }
        let regex = Regex::new(&format!("(?is){}", pattern)).map_err(|e| format!("rule {:?}: the pattern isn't one of RE2, or too large: {}", id, e))?;
        self.rules.push(Rule { id, score, places, regex });
        Ok(())
    }

    /// Finds the ids in disable and exclude that are no rules: whoever misspells
    /// one thinks that it is off.
    fn check_names(&self) -> Result<()> {
        let others = [NUL.0, DOUBLE.0, NOT_UTF8.0, ENCODED.0, COSTLY.0];
        let known = |id: &String| {
            id == "*" || self.rules.iter().any(|r| r.id == *id) || others.contains(&id.as_str()) || STARTER.iter().any(|s| s.0 == id)
        };
        match self.disabled.iter().chain(self.excluded.iter().flat_map(|e| &e.rules)).find(|id| !known(id)) {
            Some(id) => Err(format!("there is no rule {:?} to disable or exclude", id).into()),
            None => Ok(()),
        }
    }

    fn excludes(&self, path: &str, id: &str) -> bool {
        self.excluded.iter().any(|e| {
            let here = match e.path.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == e.path,
            };
            here && e.rules.iter().any(|r| r == "*" || r == id)
        })
    }
}

impl<'a> Findings<'a> {
    fn add(&mut self, (id, score): (&'a str, u32)) {
        if !self.ids.contains(&id) && !self.waf.disabled.iter().any(|d| d == id) && !self.waf.excludes(&self.path, id) {
            self.ids.push(id);
            self.score += score;
        }
    }

    /// Tries the rules for a place on its text, but for those of whose words it has none.
    fn look(&mut self, place: u8, text: &Decoded) {
        if text.twice {
            self.add(DOUBLE);
        }
        if text.nul {
            self.add(NUL);
        }
        if text.broken {
            self.add(NOT_UTF8);
        }
        let waf = self.waf;
        let mut likely = waf.words.find(text.text.as_bytes());
        while likely != 0 {
            let rule = &waf.rules[likely.trailing_zeros() as usize];
            likely &= likely - 1;
            if rule.places & place == 0 || self.ids.contains(&rule.id.as_str()) {
                continue;
            }
            match rule.regex.is_match(&text.text) {
                Ok(false) => {}
                Ok(true) => self.add((&rule.id, rule.score)),
                Err(_) => self.add(COSTLY),
            }
        }
    }

    /// Looks at headers and content and reports whether there is more content
    /// than may be.
    fn fields_and_body(&mut self, r: Request) -> Result<bool> {
        let mut lines = Vec::with_capacity(1024);
        let (mut kind, mut encoded) = (String::new(), false);
        for (name, value) in r.headers().entries() {
            if name.eq_ignore_ascii_case("authorization") {
                continue; // says nothing in clear text
            }
            if name.eq_ignore_ascii_case("content-type") {
                kind = value.to_ascii_lowercase();
            } else if name.eq_ignore_ascii_case("content-encoding") {
                encoded = !value.eq_ignore_ascii_case("identity");
            }
            lines.extend(name.bytes().map(|b| b.to_ascii_lowercase()));
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        self.look(HEADERS, &Decoded::new(lines));
        let length = r.body().len()?;
        if length == 0 {
            return Ok(false);
        }
        if encoded {
            self.add(ENCODED);
        }
        if !["image/", "audio/", "video/", "font/"].iter().any(|k| kind.starts_with(k)) {
            let mut start = vec![0; length.min(self.waf.body_limit)];
            let mut got = 0;
            while got < start.len() {
                match r.body().read(&mut start[got..])? {
                    0 => break,
                    n => got += n,
                }
            }
            let form = kind.starts_with("application/x-www-form-urlencoded");
            let text = if form {
                self.decoded(start.into_iter().map(|b| if b == b'+' { b' ' } else { b }).collect())
            } else if kind.contains("json") {
                Decoded::new(unescaped(start))
            } else {
                Decoded::new(start)
            };
            // Content may be of any alphabet, and bytes: those are traces of nothing.
            self.look(BODY, &Decoded { broken: false, twice: false, nul: text.nul && form, ..text });
        }
        Ok(self.waf.refuses_large && length > self.waf.body_limit)
    }

    /// Decodes percent-escapes, twice where that leaves some: a backend may do so.
    fn decoded(&self, text: Vec<u8>) -> Decoded {
        if !text.contains(&b'%') {
            return Decoded::new(text);
        }
        let once = percent_decoded(&text);
        let again = percent_decoded(&once);
        let twice = again != once;
        Decoded { twice, ..Decoded::new(again) }
    }
}

/// A text that is ready for expressions.
struct Decoded {
    text: String,
    twice: bool,  // it was encoded twice
    nul: bool,    // it had a zero byte
    broken: bool, // it wasn't UTF-8
}

impl Decoded {
    fn new(mut bytes: Vec<u8>) -> Decoded {
        let nul = bytes.contains(&0);
        if nul {
            bytes.retain(|b| *b != 0); // "<scr\0ipt" is read as a tag by some
        }
        match String::from_utf8(bytes) {
            Ok(text) => Decoded { text, twice: false, nul, broken: false },
            Err(e) => Decoded { text: String::from_utf8_lossy(e.as_bytes()).into_owned(), twice: false, nul, broken: true },
        }
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b, _, _) => {
                out.push(b);
                at += 1;
            }
        }
    }
    out
}

/// Replaces JSON's escapes by what they stand for; the rest stays, whatever it is.
fn unescaped(text: Vec<u8>) -> Vec<u8> {
    if !text.contains(&b'\\') {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' || at + 1 == text.len() {
            out.push(text[at]);
            at += 1;
            continue;
        }
        let code = text.get(at + 2..at + 6).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u32::from_str_radix(d, 16).ok());
        match (text[at + 1], code) {
            (b'u', Some(code)) => {
                let c = char::from_u32(code).unwrap_or('\u{fffd}');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
                continue;
            }
            (b'n', _) => out.push(b'\n'),
            (b'r', _) => out.push(b'\r'),
            (b't', _) => out.push(b'\t'),
            (b, _) => out.push(b),
        }
        at += 2;
    }
    out
}

fn list(config: json::Document, path: &str) -> Vec<String> {
    (0..config.count(path)).filter_map(|i| config.get(&format!("{}[{}]", path, i))).collect()
}

/// Finds in one pass which rules' words are in a text, whatever the case of ASCII
/// letters: the automaton of Aho and Corasick, with a table of transitions.
#[derive(Default)]
struct Words {
    always: u128, // rules without words
    class: Vec<u8>,
    classes: usize,
    next: Vec<u16>,   // by state and class
    found: Vec<u128>, // by state
}

impl Words {
    fn new(words: &[Vec<String>]) -> Words {
        let mut w = Words { class: vec![0; 256], classes: 1, next: Vec::new(), found: vec![0], always: 0 };
        for b in words.iter().flatten().flat_map(|word| word.bytes()).map(|b| b.to_ascii_lowercase()) {
            if w.class[b as usize] == 0 {
                w.class[b as usize] = w.classes as u8;
                w.class[b.to_ascii_uppercase() as usize] = w.classes as u8;
                w.classes += 1;
            }
        }
        w.next = vec![0; w.classes];
        for (rule, list) in words.iter().enumerate() {
            if list.is_empty() {
                w.always |= 1 << rule;
            }
            for word in list {
                w.insert(word.as_bytes(), rule);
            }
        }
        w.link();
        w
    }

    fn insert(&mut self, word: &[u8], rule: usize) {
        let mut state = 0;
        for b in word {
            let at = state * self.classes + self.class[*b as usize] as usize;
            if self.next[at] == 0 {
                self.next[at] = self.found.len() as u16;
                self.found.push(0);
                self.next.resize(self.next.len() + self.classes, 0);
            }
            state = self.next[at] as usize;
        }
        self.found[state] |= 1 << rule;
    }

    /// Turns the tree of words into the automaton, level by level.
    fn link(&mut self) {
        let mut back = vec![0; self.found.len()];
        let mut queue: std::collections::VecDeque<usize> = (0..self.classes).map(|c| self.next[c] as usize).filter(|s| *s != 0).collect();
        while let Some(state) = queue.pop_front() {
            self.found[state] |= self.found[back[state]];
            for c in 0..self.classes {
                let other = self.next[back[state] * self.classes + c];
                match self.next[state * self.classes + c] as usize {
                    0 => self.next[state * self.classes + c] = other,
                    child => {
                        back[child] = other as usize;
                        queue.push_back(child);
                    }
                }
            }
        }
    }

    fn find(&self, text: &[u8]) -> u128 {
        let (mut state, mut found) = (0, self.always);
        for b in text {
            state = self.next[state * self.classes + self.class[*b as usize] as usize] as usize;
            if state != 0 {
                found |= self.found[state];
            }
        }
        found
    }
}

// An authorizer: it lets in webhooks that carry the signature of who sends them.
//
//	config = { style = "github", secrets = ["…"] }
use postern::crypto::{equal, hmac, Algorithm};
use postern::text::{decode, Coding};
use postern::*;

struct Webhook {
    style: Style,
    name: String,
    secrets: Vec<Vec<u8>>,
    tolerance: i64, // seconds
}

#[derive(Clone, Copy)]
enum Style {
    GitHub,
    Stripe,
    Slack,
    Shopify,
    Standard,
}

/// What a request says: the signatures that it offers, and what is signed in
/// front of the content.
struct Claim {
    signatures: Vec<Vec<u8>>,
    prefix: String,
    time: Option<i64>, // seconds since 1970
}

/// More signatures than anybody sends while secrets change.
const MOST_SIGNATURES: usize = 8;

impl Plugin for Webhook {
    fn configure(config: &str) -> Result<Self> {
        let config = json::parse(config)?;
        let name = config.get("$.style").unwrap_or_default();
        let style = match name.as_str() {
            "github" => Style::GitHub,
            "stripe" => Style::Stripe,
            "slack" => Style::Slack,
            "shopify" => Style::Shopify,
            "standard" => Style::Standard,
            _ => return Err("style is none of github, stripe, slack, shopify, standard".into()),
        };
        let mut secrets = Vec::new();
        for i in 0..config.count("$.secrets") {
            let secret = config.get(&format!("$.secrets[{}]", i)).unwrap_or_default();
            let key = match style {
                // Standard Webhooks: "whsec_" and base64.
                Style::Standard => decode(Coding::Base64, secret.strip_prefix("whsec_").unwrap_or(&secret)).map_err(|_| "a secret isn't base64")?,
                _ => secret.into_bytes(),
            };
            if key.len() < 8 {
                return Err("a secret has fewer than 8 bytes".into());
            }
            secrets.push(key);
        }
        if secrets.is_empty() {
            return Err("config needs secrets".into());
        }
        let tolerance = config.get("$.tolerance").and_then(|t| t.parse().ok()).unwrap_or(300);
        Ok(Webhook { style, name, secrets, tolerance })
    }

    fn authorize(&mut self, r: Request) -> Result<Decision> {
        let claim = match self.style.claim(r) {
            Some(claim) if !claim.signatures.is_empty() => claim,
            _ => return refuse(r, Decision::Unauthenticated, "no signature"),
        };
        if let Some(signed) = claim.time {
            // What is from the future is as wrong as what is old.
            if (time() / 1_000_000_000).saturating_sub(signed).saturating_abs() > self.tolerance {
                return refuse(r, Decision::Deny, "the signature's time is too far from now");
            }
        }
        let mut signed = claim.prefix.into_bytes();
        signed.extend(r.body().read_all()?);
        let mut good = false;
        for secret in &self.secrets {
            let expected = hmac(Algorithm::Sha256, secret, &signed)?;
            for signature in &claim.signatures {
                good |= equal(signature, &expected);
            }
        }
        if !good {
            return refuse(r, Decision::Deny, "the signature is wrong");
        }
        r.set_principal(&self.name)?;
        Ok(Decision::Allow)
    }
}

export!(Webhook: authorize);

fn refuse(r: Request, decision: Decision, why: &str) -> Result<Decision> {
    r.set_message(why)?;
    Ok(decision)
}

impl Style {
    /// Reads what the request claims; None if it claims nothing that makes sense.
    fn claim(self, r: Request) -> Option<Claim> {
        match self {
            Style::GitHub => Some(Claim {
                signatures: hex(r.header("x-hub-signature-256")?.strip_prefix("sha256=")?).into_iter().collect(),
                prefix: String::new(),
                time: None,
            }),
            Style::Shopify => Some(Claim {
                signatures: base64(&r.header("x-shopify-hmac-sha256")?).into_iter().collect(),
                prefix: String::new(),
                time: None,
            }),
            Style::Slack => {
                let (at, time) = timestamp(&r.header("x-slack-request-timestamp")?)?;
                let signature = hex(r.header("x-slack-signature")?.strip_prefix("v0=")?);
                Some(Claim { signatures: signature.into_iter().collect(), prefix: format!("v0:{}:", at), time: Some(time) })
            }
            Style::Standard => {
                let (id, given) = (r.header("webhook-id")?, r.header("webhook-signature")?);
                let (at, time) = timestamp(&r.header("webhook-timestamp")?)?;
                let marks = given.split(' ').filter_map(|s| base64(s.strip_prefix("v1,")?));
                Some(Claim { signatures: marks.take(MOST_SIGNATURES).collect(), prefix: format!("{}.{}.", id, at), time: Some(time) })
            }
            Style::Stripe => stripe(&r.header("stripe-signature")?),
        }
    }
}

/// Reads "t=TIME,v1=HEX,v1=HEX,v0=…"; other schemes than v1 aren't looked at.
fn stripe(header: &str) -> Option<Claim> {
    let (mut at, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", _) if at.is_some() => return None, // which one is signed?
            ("t", text) => at = Some(timestamp(text)?),
            ("v1", text) if signatures.len() < MOST_SIGNATURES => signatures.extend(hex(text)),
            _ => {}
        }
    }
    let (text, time) = at?;
    Some(Claim { signatures, prefix: format!("{}.", text), time: Some(time) })
}

/// Reads seconds since 1970; returns them as sent, since so they are signed.
fn timestamp(text: &str) -> Option<(String, i64)> {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((text.to_string(), text.parse().ok()?))
}

/// What isn't a SHA-256 digest is no signature.
fn hex(text: &str) -> Option<Vec<u8>> {
    decode(Coding::Hex, text).ok().filter(|digest| digest.len() == 32)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    decode(Coding::Base64, text).ok().filter(|digest| digest.len() == 32)
}

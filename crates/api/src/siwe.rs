//! Sign-In with Ethereum (EIP-4361): the text a wallet shows and signs, and its check.
//!
//! The one file that knows the library: it writes and reads the text. Whose signature it is, our
//! own door for signatures decides, the same as for evidence. Only keys sign in, no contracts.

use crate::limits::{NONCE_MS_MAX, SIWE_BYTES_MAX};
use alloy_primitives::{Address, keccak256};
use medtrail_ledger::signature::{self, SignatureError};
use signinwithethereum::{Message, TimeStamp, Version};
use time::OffsetDateTime;

/// What the wallet shows above the fields; ASCII, as EIP-4361 asks.
const STATEMENT: &str =
    "Sign in to Medtrail. This costs nothing, and permits nothing but to show you what is yours.";

/// Where others reach this server: what a signature is bound to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Site {
    /// Without a slash at its end.
    pub(crate) url: String,
    /// Scheme, host and port, as browsers send it in `Origin` (RFC 6454 section 6.1).
    pub(crate) origin: String,
    /// Host and port.
    domain: String,
    /// EIP-155 chain id of the log's registry.
    chain_id: u64,
}

/// Why nobody is signed in by a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum SiweError {
    /// No message of EIP-4361, or another spelling of one.
    #[error("the message is not one of EIP-4361 in its one spelling: {0}")]
    Unreadable(String),
    /// A field is not what this server has written into it.
    #[error("{name} of the message is {found:?}, it must be {expected:?}")]
    Field {
        /// The field, as EIP-4361 names it.
        name: &'static str,
        /// What stands there.
        found: String,
        /// What this server writes.
        expected: String,
    },
    /// Too early or too late.
    #[error("the message is good from its Issued At to its Expiration Time, at most 5 minutes")]
    Time,
    /// No signature.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// Somebody else's.
    #[error("signature: signed by {signer}, but the message names {named}")]
    Signer {
        /// Who signed.
        signer: Address,
        /// Who should have.
        named: Address,
    },
}

/// A message that its signer signed for this server, now. Whether its nonce is still good, the
/// sessions know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Signed {
    pub(crate) address: Address,
    pub(crate) nonce: String,
}

impl Site {
    /// The site at `public_url`; `None` if that is no `http(s)://host[:port][/path]`.
    pub(crate) fn new(public_url: &str, chain_id: u64) -> Option<Self> {
        let url = public_url.trim_end_matches('/').to_owned();
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
        let domain = host.to_ascii_lowercase();
        if !matches!(scheme, "http" | "https") || domain.contains('@') {
            return None;
        }
        let site = Self { origin: format!("{scheme}://{domain}"), domain, url, chain_id };
        // The library must be able to write and read it.
        let written = site.message(Address::ZERO, "00000000", 0)?;
        written.parse::<Message>().is_ok().then_some(site)
    }

    /// The text for `address` to sign with `personal_sign`.
    pub(crate) fn message(&self, address: Address, nonce: &str, now_ms: u64) -> Option<String> {
        let message = Message {
            scheme: None,
            domain: self.domain.parse().ok()?,
            address: address.into_array(),
            address_raw: None,
            statement: Some(STATEMENT.to_owned()),
            uri: self.url.parse().ok()?,
            version: Version::V1,
            chain_id: self.chain_id,
            nonce: nonce.to_owned(),
            issued_at: stamp(now_ms)?,
            expiration_time: Some(stamp(now_ms + NONCE_MS_MAX)?),
            not_before: None,
            request_id: None,
            resources: Vec::new(),
            warnings: Vec::new(),
        };
        Some(message.to_string())
    }

    /// Checks everything about a signed message but its nonce.
    pub(crate) fn check(
        &self,
        text: &str,
        signature: &[u8],
        now_ms: u64,
    ) -> Result<Signed, SiweError> {
        if text.len() > SIWE_BYTES_MAX {
            return Err(SiweError::Unreadable(format!("it has {} bytes", text.len())));
        }
        let message: Message =
            text.parse().map_err(|error| SiweError::Unreadable(format!("{error}")))?;
        // What the library reads must be all that was signed.
        if message.to_string() != text {
            return Err(SiweError::Unreadable("something else stands in it".to_owned()));
        }
        let scheme = message.scheme.clone().unwrap_or_default();
        let beyond = |is_there: bool| if is_there { "something" } else { "" }.to_owned();
        for (name, found, expected) in [
            // A phishing page can show a message of its own, but not one that names us.
            ("Domain", message.domain.to_string(), self.domain.clone()),
            ("Scheme", scheme, String::new()),
            ("URI", message.uri.to_string(), self.url.clone()),
            ("Chain ID", message.chain_id.to_string(), self.chain_id.to_string()),
            // Resources could give rights (ERC-5573) that nobody here looks at.
            ("Resources", beyond(!message.resources.is_empty()), String::new()),
            ("Request ID", beyond(message.request_id.is_some()), String::new()),
            ("Not Before", beyond(message.not_before.is_some()), String::new()),
        ] {
            if found != expected {
                return Err(SiweError::Field { name, found, expected });
            }
        }
        let from_ms = milliseconds(&message.issued_at);
        let until_ms = message.expiration_time.as_ref().map(milliseconds).unwrap_or(i128::MAX);
        let (now, longest) = (i128::from(now_ms), i128::from(NONCE_MS_MAX));
        if from_ms > now || now >= until_ms || until_ms.saturating_sub(from_ms) > longest {
            return Err(SiweError::Time);
        }
        let named = Address::from(message.address);
        let prefix = format!("\x19Ethereum Signed Message:\n{}", text.len());
        let digest = keccak256([prefix.as_bytes(), text.as_bytes()].concat());
        let signer = signature::parse(signature)?.recover(digest)?;
        match signer == named {
            true => Ok(Signed { address: named, nonce: message.nonce }),
            false => Err(SiweError::Signer { signer, named }),
        }
    }
}

/// Milliseconds since 1970 as RFC 3339.
fn stamp(ms: u64) -> Option<TimeStamp> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()?;
    Some(TimeStamp::from(time))
}

fn milliseconds(stamp: &TimeStamp) -> i128 {
    stamp.as_ref().unix_timestamp_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use secp256k1::{Message as Digest, SecretKey};

    const NOW: u64 = 1_767_605_400_120;

    fn site() -> Site {
        Site::new("https://medtrail.example/", 4242).unwrap()
    }

    fn key(byte: u8) -> (SecretKey, Address) {
        let key = SecretKey::from_secret_bytes([byte; 32]).unwrap();
        (key, signature::address_of(&key.public_key()))
    }

    fn sign(key: &SecretKey, text: &str) -> Vec<u8> {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
        let digest = Digest::from_digest(keccak256(prefixed).0);
        let signed = secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(digest, key);
        let (recovery, compact) = signed.serialize_compact();
        [&compact[..], &[27 + u8::from(recovery)]].concat()
    }

    #[test]
    fn what_the_server_wrote_signs_its_signer_in_until_it_expires() {
        let (key, address) = key(7);
        let text = site().message(address, "0123456789abcdef", NOW).unwrap();
        let signature = sign(&key, &text);
        for at in [NOW, NOW + NONCE_MS_MAX - 1] {
            let signed = site().check(&text, &signature, at).unwrap();
            assert_eq!(signed, Signed { address, nonce: "0123456789abcdef".to_owned() });
        }
        for at in [NOW - 1, NOW + NONCE_MS_MAX] {
            assert_eq!(site().check(&text, &signature, at), Err(SiweError::Time));
        }
    }

    #[test]
    fn the_text_is_that_of_the_standard() {
        let text = site().message(Address::repeat_byte(0x11), "0123456789abcdef", NOW).unwrap();
        let expected = "medtrail.example wants you to sign in with your Ethereum account:\n\
            0x1111111111111111111111111111111111111111\n\n\
            Sign in to Medtrail. This costs nothing, and permits nothing but to show you what is \
            yours.\n\n\
            URI: https://medtrail.example\nVersion: 1\nChain ID: 4242\nNonce: 0123456789abcdef\n\
            Issued At: 2026-01-05T09:30:00.12Z\nExpiration Time: 2026-01-05T09:35:00.12Z";
        assert_eq!(text, expected);
    }

    #[test]
    fn each_field_is_checked_although_the_signature_is_good() {
        let (key, address) = key(7);
        let good = site().message(address, "0123456789abcdef", NOW).unwrap();
        fn named(name: &'static str) -> impl Fn(&SiweError) -> bool {
            move |error| matches!(error, SiweError::Field { name: found, .. } if *found == name)
        }
        let changed = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            let text = good.replacen(from, to, 1);
            site().check(&text, &sign(&key, &text), NOW).unwrap_err()
        };
        let medtrail = "medtrail.example wants";
        assert!(named("Domain")(&changed(medtrail, "evil.example wants")));
        assert!(named("Domain")(&changed(medtrail, "medtrail.example:8443 wants")));
        assert!(named("Scheme")(&changed(medtrail, "https://medtrail.example wants")));
        assert!(named("URI")(&changed("URI: https://medtrail", "URI: https://other")));
        assert!(named("Chain ID")(&changed("Chain ID: 4242", "Chain ID: 1")));
        let end = "Expiration Time: 2026-01-05T09:35:00.12Z";
        let add = |more: &str| changed(end, &format!("{end}\n{more}"));
        assert!(named("Resources")(&add("Resources:\n- urn:recap:all")));
        assert!(named("Request ID")(&add("Request ID: 1")));
        assert!(named("Not Before")(&add("Not Before: 2026-01-05T09:30:00.12Z")));
        assert_eq!(changed(end, "Expiration Time: 2026-01-05T09:35:00.121Z"), SiweError::Time);
        assert_eq!(changed(&format!("\n{end}"), ""), SiweError::Time, "without an end");
        assert!(matches!(changed("Version: 1", "Version: 2"), SiweError::Unreadable(_)));
        assert!(matches!(changed("Nonce: 0123", "Nonce: 0_23"), SiweError::Unreadable(_)));
        assert!(matches!(add("\n"), SiweError::Unreadable(_)));
    }

    #[test]
    fn another_s_or_a_loose_signature_signs_nobody_in() {
        let ((mine, address), (other, signer)) = (key(7), key(8));
        let text = site().message(address, "0123456789abcdef", NOW).unwrap();
        let refused = site().check(&text, &sign(&other, &text), NOW);
        assert_eq!(refused, Err(SiweError::Signer { signer, named: address }));
        let mut good = sign(&mine, &text);
        let short = SiweError::Signature(SignatureError::Length(64));
        assert_eq!(site().check(&text, &good[..64], NOW), Err(short));
        good[64] -= 27;
        let loose = SiweError::Signature(SignatureError::V(good[64]));
        assert_eq!(site().check(&text, &good, NOW), Err(loose));
    }

    #[test]
    fn a_site_needs_a_host() {
        for url in ["medtrail.example", "https://", "ftp://a", "https://u@a", "http://a b", ""] {
            assert_eq!(Site::new(url, 1), None, "{url}");
        }
        let site = Site::new("http://LOCALHOST:8080/app/", 1).unwrap();
        assert_eq!((&*site.url, &*site.domain), ("http://LOCALHOST:8080/app", "localhost:8080"));
        assert_eq!(site.origin, "http://localhost:8080");
    }
}

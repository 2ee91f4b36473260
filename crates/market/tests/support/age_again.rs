//! The age format (C2SP age-encryption.org/v1) read a second time, from its specification and
//! without the age library: X25519 only, no armour.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

fn derived(secret: &[u8], salt: &[u8], info: &str) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info.as_bytes(), &mut out).unwrap();
    out
}

fn unsealed(key: &[u8; 32], nonce: [u8; 12], bytes: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(key.into()).decrypt(&Nonce::from(nonce), bytes).ok()
}

/// Opens one layer.
pub(crate) fn open(secret: [u8; 32], file: &[u8]) -> Option<Vec<u8>> {
    let mac_at = file.windows(4).position(|window| window == b"--- ")?;
    let header = std::str::from_utf8(&file[..mac_at + 3]).ok()?;
    let mac_text = std::str::from_utf8(file.get(mac_at + 4..mac_at + 47)?).ok()?;
    let mut lines = header.lines();
    let stanza = (lines.next()? == "age-encryption.org/v1").then(|| lines.next()).flatten()?;
    let share = BASE64_STANDARD_NO_PAD.decode(stanza.strip_prefix("-> X25519 ")?).ok()?;
    let body = BASE64_STANDARD_NO_PAD.decode(lines.next()?).ok()?;
    let own = x25519_dalek::x25519(secret, x25519_dalek::X25519_BASEPOINT_BYTES);
    let shared = x25519_dalek::x25519(secret, share.clone().try_into().ok()?);
    let salt = [share.as_slice(), &own].concat();
    let wrap = derived(&shared, &salt, "age-encryption.org/v1/X25519");
    let file_key = unsealed(&wrap, [0; 12], &body)?;
    let mac_key = derived(&file_key, &[], "header");
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&mac_key).ok()?;
    mac.update(header.as_bytes());
    mac.verify_slice(&BASE64_STANDARD_NO_PAD.decode(mac_text).ok()?).ok()?;
    let payload = file.get(mac_at + 48..)?;
    let (nonce, chunks) = payload.split_at_checked(16)?;
    let key = derived(&file_key, nonce, "payload");
    let mut plain = Vec::new();
    let count = chunks.chunks(65_552).count();
    for (place, chunk) in chunks.chunks(65_552).enumerate() {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&(place as u64).to_be_bytes());
        nonce[11] = u8::from(place + 1 == count);
        plain.extend(unsealed(&key, nonce, chunk)?);
    }
    Some(plain)
}

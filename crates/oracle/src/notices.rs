//! Notices: who wants to be told by which channel, and what is told at once.
//!
//! Nobody is told anything before they chose a channel, and by e-mail not before its address was
//! confirmed by who reads it. What leaves says that something needs a look, never what. The
//! [`herald`] decides behind the head, from entries alone.

mod guardians;
pub mod herald;
mod urgent;

use crate::own::{NoRandomness, random};
use crate::service::Service;
use alloy_primitives::{Address, B256, hex};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medtrail_ledger::directory::{
    ChannelsRow, DirectoryChange, DueNotice, DueSort, EmailChannel, WebhookChannel, secret_hash,
};
use medtrail_ledger::entry::event_id;
use medtrail_ledger::inquiry::check_language;
use medtrail_ledger::notices::{Channels, Messenger, URL_BYTES_MAX, is_outward_url};
use medtrail_ledger::ports::JournalError;
use std::sync::Arc;

/// How long a confirmation code is good, in milliseconds.
pub const CODE_MS: u64 = 24 * 3_600_000;
/// The time between two confirmation mails of one person, in milliseconds.
pub const CONFIRM_PAUSE_MS: u64 = 60_000;
/// Bytes of an e-mail address (RFC 5321).
const ADDRESS_BYTES_MAX: usize = 254;
/// People with channels.
const SUBSCRIBERS_MAX: usize = 1_000_000;

/// What notices need of the world outside.
#[derive(Clone)]
pub struct Notices {
    /// Takes them there.
    pub messenger: Arc<dyn Messenger>,
    /// How long a mail waits for what else comes, in milliseconds.
    pub gather_ms: u64,
    /// How long after a failure it is tried again the first time, in milliseconds; then twice as
    /// long each time.
    pub retry_ms: u64,
}

impl Notices {
    /// Without any channel.
    pub fn nowhere() -> Self {
        let messenger = Arc::new(medtrail_ledger::notices::Nobody);
        Self { messenger, gather_ms: 10_000, retry_ms: 30_000 }
    }
}

/// What a person wants. A channel that is left out ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// By e-mail.
    pub email: Option<WantedMail>,
    /// By webhook.
    pub webhook: Option<String>,
}

/// An e-mail channel, as a person asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedMail {
    /// Where to.
    pub address: String,
    /// Once a day, and then of everything; else at once, of what is urgent.
    pub is_daily: bool,
    /// Of the mail (BCP 47).
    pub language: String,
}

/// The channels of a person, as they stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chosen {
    /// By e-mail, and whether its address is confirmed.
    pub email: Option<(WantedMail, bool)>,
    /// By webhook.
    pub webhook: Option<String>,
    /// The webhook's secret, `whsec_…`: only where it was made just now.
    pub secret: Option<String>,
}

/// Why channels were not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// The operator has not set this channel up.
    #[error("this log sends nothing by {0}")]
    NoChannel(&'static str),
    /// Not an address mail is sent to.
    #[error("email.address is no e-mail address")]
    Address,
    /// Not the form of a language tag.
    #[error("email.language must be a tag of BCP 47, as en or et")]
    Language,
    /// Not a URL a webhook is sent to.
    #[error("webhook.url must be https://…, without a user, at most {URL_BYTES_MAX} bytes")]
    Url,
    /// A mail was sent just before.
    #[error("a mail to confirm an address was sent less than a minute ago")]
    Again,
    /// No such code, or not any more.
    #[error("this code confirms nothing, or not any more")]
    Code,
    /// As many people as there is room for.
    #[error("as many people are told as there is room for")]
    Full,
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The disk could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Service {
    /// Which channels this log has.
    pub fn notice_channels(&self) -> Channels {
        self.0.notices.messenger.channels()
    }

    /// The channels of a person.
    pub fn channels(&self, person: Address) -> Chosen {
        let rows = self.0.live.rows();
        rows.channels.get(&person).map_or_else(Chosen::default, |row| chosen(row, None))
    }

    /// Sets the channels of a person. A new address is told a code first.
    ///
    /// # Errors
    /// [`NoticeError`]; nothing was changed.
    pub async fn set_channels(
        &self,
        person: Address,
        wanted: Wanted,
    ) -> Result<Chosen, NoticeError> {
        self.act(move |service| service.set_channels_now(person, wanted)).await
    }

    fn set_channels_now(&self, person: Address, wanted: Wanted) -> Result<Chosen, NoticeError> {
        let channels = self.notice_channels();
        let before = self.0.live.rows().channels.get(&person).cloned();
        if before.is_none() && self.0.live.rows().channels.len() >= SUBSCRIBERS_MAX {
            return Err(NoticeError::Full);
        }
        let now_ms = (self.0.now_ms)();
        let mut changes = Vec::new();
        let email = match wanted.email {
            None => None,
            Some(_) if !channels.email => return Err(NoticeError::NoChannel("e-mail")),
            Some(mail) => {
                Some(self.email_channel(person, mail, before.as_ref(), now_ms, &mut changes)?)
            }
        };
        let mut secret = None;
        let webhook = match wanted.webhook {
            None => None,
            Some(_) if !channels.webhook => return Err(NoticeError::NoChannel("webhook")),
            Some(url) => {
                check_url(&url)?;
                let known = before.as_ref().and_then(|row| row.webhook.clone());
                Some(match known.filter(|known| known.url == url) {
                    Some(known) => known,
                    None => {
                        let key = random::<32>()?;
                        secret = Some(format!("whsec_{}", STANDARD.encode(key)));
                        WebhookChannel { url, secret: key.to_vec() }
                    }
                })
            }
        };
        // What waits for a channel that has ended, or that leads elsewhere now, is not sent.
        let is_for = |due: &&DueNotice| {
            due.subject == person && !matches!(due.sort, DueSort::Confirm { .. })
        };
        let ends = |due: &&DueNotice| match due.sort {
            DueSort::Webhook => webhook.is_none() || secret.is_some(),
            _ => email.as_ref().is_none_or(|email| !email.is_confirmed),
        };
        let rows = self.0.live.rows();
        let ended = rows.due.values().filter(is_for).filter(ends);
        changes.extend(ended.map(|due| DirectoryChange::DropDue(due.id)));
        drop(rows);
        let is_new_code = email.as_ref().is_some_and(|email| email.code_made_ms == now_ms);
        let sent_before = before.as_ref().map_or(0, |row| row.code_sent_ms);
        let code_sent_ms = if is_new_code { now_ms } else { sent_before };
        // Kept for the pause between two codes, which choosing anew must not shorten.
        let is_forgotten = now_ms >= code_sent_ms + CONFIRM_PAUSE_MS;
        if email.is_none() && webhook.is_none() && is_forgotten {
            changes.push(DirectoryChange::DropChannels(person));
            self.0.live.apply(changes)?;
            return Ok(Chosen::default());
        }
        let since = before.map_or_else(|| self.head().size, |row| row.since);
        let row = ChannelsRow { subject: person, since, email, webhook, code_sent_ms };
        let answer = chosen(&row, secret);
        changes.push(DirectoryChange::PutChannels(row));
        self.0.live.apply(changes)?;
        Ok(answer)
    }

    fn email_channel(
        &self,
        person: Address,
        mail: WantedMail,
        before: Option<&ChannelsRow>,
        now_ms: u64,
        changes: &mut Vec<DirectoryChange>,
    ) -> Result<EmailChannel, NoticeError> {
        let WantedMail { address, is_daily, language } = mail;
        check_address(&address)?;
        check_language(&language).map_err(|_| NoticeError::Language)?;
        if let Some(known) = before.and_then(|row| row.email.as_ref())
            && known.address == address
            && known.is_confirmed
        {
            return Ok(EmailChannel { is_daily, language, ..known.clone() });
        }
        // Somebody who names a stranger's address must not have it flooded.
        if before.is_some_and(|row| now_ms < row.code_sent_ms + CONFIRM_PAUSE_MS) {
            return Err(NoticeError::Again);
        }
        let code = hex::encode(random::<16>()?);
        let id = event_id(person, &[b"confirm\0".as_slice(), code.as_bytes()].concat());
        changes.push(DirectoryChange::PutDue(DueNotice {
            id,
            subject: person,
            sort: DueSort::Confirm {
                to: address.clone(),
                language: language.clone(),
                code: code.clone(),
            },
            about: Vec::new(),
            due_ms: now_ms,
            tries: 0,
            is_sent: false,
        }));
        Ok(EmailChannel {
            address,
            is_daily,
            language,
            is_confirmed: false,
            code_hash: secret_hash(&code),
            code_made_ms: now_ms,
        })
    }

    /// Confirms the address that was told this code. Works once.
    ///
    /// # Errors
    /// [`NoticeError::Code`] alike for none, one used, and one too old.
    pub async fn confirm_address(&self, code: String) -> Result<(), NoticeError> {
        self.act(move |service| {
            let (hash, now_ms) = (secret_hash(&code), (service.0.now_ms)());
            let is_it = |row: &&ChannelsRow| {
                row.email.as_ref().is_some_and(|email| {
                    !email.is_confirmed
                        && email.code_hash == hash
                        && now_ms < email.code_made_ms + CODE_MS
                })
            };
            let found = service.0.live.rows().channels.values().find(is_it).cloned();
            let mut row = found.ok_or(NoticeError::Code)?;
            if let Some(email) = &mut row.email {
                (email.is_confirmed, email.code_hash) = (true, B256::ZERO);
            }
            // Nothing that happened before is told to a new address.
            row.since = row.since.max(service.head().size);
            service.0.live.apply(vec![DirectoryChange::PutChannels(row)])?;
            Ok(())
        })
        .await
    }
}

fn chosen(row: &ChannelsRow, secret: Option<String>) -> Chosen {
    let email = row.email.as_ref().map(|email| {
        let EmailChannel { address, is_daily, language, is_confirmed, .. } = email.clone();
        (WantedMail { address, is_daily, language }, is_confirmed)
    });
    Chosen { email, webhook: row.webhook.as_ref().map(|webhook| webhook.url.clone()), secret }
}

/// One mailbox and nothing that a header or a relay could take for more.
fn check_address(address: &str) -> Result<(), NoticeError> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
    let fits = match address.rsplit_once('@') {
        Some((local, domain)) => {
            !local.is_empty()
                && !local.contains('@')
                && domain.contains('.')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        }
        None => false,
    };
    match fits && address.len() <= ADDRESS_BYTES_MAX && address.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(NoticeError::Address),
    }
}

fn check_url(url: &str) -> Result<(), NoticeError> {
    if is_outward_url(url) { Ok(()) } else { Err(NoticeError::Url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_urls_that_could_be_taken_for_more_are_refused() {
        for good in ["mari@example.org", "mari.tamm+medtrail@mail.example.org"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "mari",
            "@example.org",
            "mari@",
            "mari@localhost",
            "a@b@c.org",
            "a@.org",
            "a@b.",
            "mari@example.org\r\nBcc: all@example.org",
            "Mari <mari@example.org>",
            "a@b.c,d@e.f",
            "õ@example.org",
        ] {
            assert!(check_address(bad).is_err(), "{bad:?}");
        }
        for good in ["https://mari.example/hook?x=1", "http://127.0.0.1:9000/hook"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://mari.example/hook",
            "https://",
            "https://user@mari.example/",
            "ftp://x",
            "https://a b/",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1:1@evil.example/",
        ] {
            assert!(check_url(bad).is_err(), "{bad:?}");
        }
    }
}

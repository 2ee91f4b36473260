//! How notices leave this machine: mail by the operator's relay, webhooks by HTTPS.

mod mail;
mod webhook;

use crate::config::NoticesConfig;
use mail::Mailer;
use medtrail_ledger::notices::{Channels, Messenger, Parcel, Undelivered};
use medtrail_oracle::notices::Notices;
use std::sync::Arc;
use webhook::Hooks;

/// Why there are no notices.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoticesError {
    #[error("notices.smtp_url: {0}")]
    Relay(#[from] lettre::transport::smtp::Error),
    #[error("notices.from: {0}")]
    From(#[from] lettre::address::AddressError),
    #[error("notices.mail_folder: {0}")]
    Folder(#[from] std::io::Error),
    #[error("notices: {0}")]
    Http(#[from] reqwest::Error),
    #[error("notices.smtp_url and notices.mail_folder: name one of them, and notices.from")]
    Both,
}

/// Both channels, as far as they are set up.
struct Post {
    mailer: Option<Mailer>,
    hooks: Option<Hooks>,
}

impl Messenger for Post {
    fn channels(&self) -> Channels {
        Channels { email: self.mailer.is_some(), webhook: self.hooks.is_some() }
    }

    fn send(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        let none = || Undelivered::Never("this channel is not set up any more".to_owned());
        match parcel {
            Parcel::Mail { to, language, says } => {
                self.mailer.as_ref().ok_or_else(none)?.send(to, language, says)
            }
            Parcel::Webhook { url, secret, id, body } => {
                self.hooks.as_ref().ok_or_else(none)?.send(url, secret, id, body)
            }
        }
    }
}

/// The channels that are configured. Called in the runtime, whose timers webhooks need.
pub(crate) fn notices(config: &NoticesConfig, public_url: &str) -> Result<Notices, NoticesError> {
    let mailer = Mailer::new(config, public_url)?;
    let hooks = config.webhooks.then(|| Hooks::new(config.webhooks_to_loopback));
    let post = Post { mailer, hooks };
    let gather_ms = config.gather_s * 1000;
    Ok(Notices { messenger: Arc::new(post), gather_ms, retry_ms: 30_000 })
}

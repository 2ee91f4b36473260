//! What leaves for a person: the words that tell them to have a look, and nothing of what happened.

use alloy_primitives::Address;

/// One message, on its way out of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parcel {
    /// An e-mail: no health data, no organisation's name.
    Mail {
        /// The address the person named.
        to: String,
        /// Which language it is in (BCP 47).
        language: String,
        /// What it says.
        says: MailText,
    },
    /// A webhook of the Standard Webhooks scheme.
    Webhook {
        /// The address the person named.
        url: String,
        /// The key of its signature.
        secret: Vec<u8>,
        /// `webhook-id`: the same however often it is tried.
        id: String,
        /// The body, JSON.
        body: Vec<u8>,
    },
}

/// What a mail says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailText {
    /// That this address was named for notices; the code shows that who named it reads it.
    Confirm {
        /// Works once.
        code: String,
    },
    /// That something needs a look.
    Look {
        /// Whose trail it is: the link leads there once they are signed in.
        subject: Address,
    },
}

/// Why a parcel did not arrive.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Undelivered {
    /// It may work later.
    #[error("{0}")]
    Later(String),
    /// It never will: the address is none that may be reached, or is gone.
    #[error("{0}")]
    Never(String),
}

/// Takes parcels out of the log. Blocking; called on a thread of its own, one parcel at a time, so
/// that each must have an end.
pub trait Messenger: Send + Sync {
    /// Which channels there are here.
    fn channels(&self) -> Channels;
    /// Sends it. Whoever receives it may receive it twice: after a crash it is sent again.
    ///
    /// # Errors
    /// [`Undelivered`]; it may have arrived all the same.
    fn send(&self, parcel: &Parcel) -> Result<(), Undelivered>;
}

/// Which channels an operator has set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Channels {
    /// A relay takes mail.
    pub email: bool,
    /// Webhooks leave this machine.
    pub webhook: bool,
}

/// Bytes of a URL that this log asks.
pub const URL_BYTES_MAX: usize = 2_000;

/// Whether a stranger's URL has the form of one that this log may ask: what its text alone shows.
/// Where it leads is looked at whenever it is asked. `http://127.0.0.1:…` is for the demo: whoever
/// asks refuses it unless the operator said otherwise.
pub fn is_outward_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://127.0.0.1:"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#', '\\']).next()).unwrap_or_default();
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain && !host.is_empty() && !host.contains('@') && url.len() <= URL_BYTES_MAX
}

/// Reaches nobody. For tools and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Messenger for Nobody {
    fn channels(&self) -> Channels {
        Channels::default()
    }

    fn send(&self, _: &Parcel) -> Result<(), Undelivered> {
        Err(Undelivered::Never("nothing leaves this log".to_owned()))
    }
}

//! E-mail: one sentence and a link. No health data and no organisation's name: relays and mailboxes
//! read it.

use super::NoticesError;
use crate::config::NoticesConfig;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::{FileTransport, SmtpTransport, Transport};
use medtrail_ledger::notices::{MailText, Undelivered};
use std::time::Duration;

/// How long a relay may take for each step.
const TIMEOUT: Duration = Duration::from_secs(20);

enum Relay {
    Smtp(SmtpTransport),
    /// Written into a folder: for the demo, and for operators who carry mail on themselves.
    Folder(FileTransport),
}

/// Writes and sends mail.
pub(super) struct Mailer {
    relay: Relay,
    from: Mailbox,
    /// Where the page is.
    url: String,
}

impl Mailer {
    /// None where no relay is configured.
    pub(super) fn new(config: &NoticesConfig, url: &str) -> Result<Option<Self>, NoticesError> {
        let relay = match (&config.smtp_url, &config.mail_folder) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(NoticesError::Both),
            (Some(url), None) => {
                Relay::Smtp(SmtpTransport::from_url(url)?.timeout(Some(TIMEOUT)).build())
            }
            (None, Some(folder)) => {
                std::fs::create_dir_all(folder)?;
                Relay::Folder(FileTransport::new(folder))
            }
        };
        let from = config.from.as_ref().ok_or(NoticesError::Both)?.parse()?;
        Ok(Some(Self { relay, from, url: url.trim_end_matches('/').to_owned() }))
    }

    pub(super) fn send(
        &self,
        to: &str,
        language: &str,
        says: &MailText,
    ) -> Result<(), Undelivered> {
        let message = self.message(to, language, says)?;
        match &self.relay {
            Relay::Smtp(relay) => match relay.send(&message) {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(Undelivered::Never(error.to_string())),
                Err(error) => Err(Undelivered::Later(error.to_string())),
            },
            Relay::Folder(folder) => {
                let sent = folder.send(&message).map(drop);
                sent.map_err(|error| Undelivered::Later(error.to_string()))
            }
        }
    }

    fn message(&self, to: &str, language: &str, says: &MailText) -> Result<Message, Undelivered> {
        let never = |error: &dyn std::error::Error| Undelivered::Never(error.to_string());
        let to: Mailbox =
            to.parse().map_err(|error: lettre::address::AddressError| never(&error))?;
        let (subject, text) = words(language, says, &self.url);
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| never(&error))
    }
}

/// Subject and text. Estonian where it was asked for, English else.
fn words(language: &str, says: &MailText, url: &str) -> (&'static str, String) {
    let is_estonian = language.split('-').next() == Some("et");
    match (says, is_estonian) {
        (MailText::Confirm { code }, false) => (
            "Medtrail: confirm this address",
            format!(
                "Somebody named this address for notices of Medtrail. If it was you, open this \
                 within a day:\n\n{url}/#/notices/confirm/{code}\n\nIf it was not you, do nothing: \
                 without it nothing more is sent.\n"
            ),
        ),
        (MailText::Confirm { code }, true) => (
            "Medtrail: kinnitage see aadress",
            format!(
                "Keegi märkis selle aadressi Medtraili teadete jaoks. Kui see olite teie, avage \
                 päeva jooksul:\n\n{url}/#/notices/confirm/{code}\n\nKui see ei olnud teie, ärge \
                 tehke midagi: ilma selleta rohkem ei saadeta.\n"
            ),
        ),
        (MailText::Look { .. }, false) => (
            "Medtrail: something needs a look",
            format!(
                "Something in your Medtrail needs a look:\n\n{url}/#/data\n\nYou chose to be told. \
                 You can change that there.\n"
            ),
        ),
        (MailText::Look { .. }, true) => (
            "Medtrail: vaadake palun üle",
            format!(
                "Teie Medtrailis on midagi, mis vajab vaatamist:\n\n{url}/#/data\n\nTe soovisite \
                 teateid. Seda saab seal muuta.\n"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    fn mailer(folder: &std::path::Path) -> Mailer {
        let config = NoticesConfig {
            mail_folder: Some(folder.to_owned()),
            from: Some("Medtrail <notices@log.example>".into()),
            ..NoticesConfig::default()
        };
        Mailer::new(&config, "https://log.example/").unwrap().unwrap()
    }

    #[test]
    fn a_mail_leads_to_the_page_and_says_nothing_of_what_happened() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = mailer(folder.path());
        let subject = Address::repeat_byte(7);
        mailer.send("mari@example.org", "en", &MailText::Look { subject }).unwrap();
        let confirm = MailText::Confirm { code: "c0de".into() };
        mailer.send("mari@example.org", "et-EE", &confirm).unwrap();
        let mut texts: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        texts.sort_by_key(|text| text.contains("kinnitage"));
        assert!(texts[0].contains("To: mari@example.org") && texts[0].contains("/#/data"));
        // Not even whose trail: whoever reads the mailbox would know the address on the chain.
        assert!(!texts[0].to_lowercase().contains("07070707"), "{}", texts[0]);
        assert!(texts[1].contains("/#/notices/confirm/c0de"), "{}", texts[1]);
        assert!(mailer.send("no address", "en", &confirm).is_err());
    }
}

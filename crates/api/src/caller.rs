//! Who asks, and what that opens. No other file decides who may see what.
//!
//! | who | shown by | may see |
//! |---|---|---|
//! | a person | a session (cookie or bearer token) | their own trail, opened, with those of the addresses that they sell under |
//! | whoever has the key of such an address | a session | what is reported about it, and not whose it is |
//! | who acts for a person with the right SEE, or whom control moved to | a session | that trail, opened; each day a line in it says so |
//! | an organisation | a session of one of its keys, or its API key | what it reported, what it is asked and answered, the place hashed |
//! | whoever holds a receipt | `Medtrail-Place: 0x…`, the place hash in it | receipt and proof of that entry |
//! | the operator | a session of its key | no entry: it only invites organisations |
//!
//! What somebody may not see is answered byte for byte like what does not exist.

use crate::answer::blocking;
use crate::client::Client;
use crate::limits::DAMAGED_TOLD_MAX;
use crate::problem::{self, Problem};
use crate::sessions::Session;
use crate::state::State;
use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, ORIGIN};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use alloy_primitives::{Address, B256};
use futures::future::LocalBoxFuture;
use medtrail_ledger::ports::JournalError;
use medtrail_oracle::opener::{Entry, EntryError};
pub(crate) use medtrail_oracle::organisations::ApiCaller;
use medtrail_oracle::service::Service;
use medtrail_oracle::trail::TrailQuery;
use medtrail_oracle::vault::{Reader, Side};
use medtrail_permit::permits::Seeing;
use std::collections::HashSet;
use std::future::{Ready, ready};
use std::sync::{Mutex, PoisonError};

/// The session's cookie. `__Host-`: set by this very host, for all of it, over TLS or to localhost.
pub(crate) const COOKIE: &str = "__Host-medtrail";
/// How API keys begin.
const API_KEY_PREFIX: &str = "mtk_";

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody has said who they are.
    Nobody,
    /// Somebody with a session or key that is not good, or not any more.
    SignedOut,
    /// Somebody who showed that an address is theirs.
    SignedIn(Session),
    /// An organisation, by its API key.
    Organisation(ApiCaller),
}

/// Somebody who may see a person's trail.
#[derive(Clone, Debug)]
pub(crate) struct Seer {
    pub(crate) session: Session,
    /// Whose trail.
    pub(crate) subject: B256,
    /// It is their own.
    pub(crate) is_own: bool,
    /// They see all of it, also what stands under the person's other addresses: it is their own, or
    /// control of it moved to them.
    pub(crate) is_whole: bool,
    /// Until when they may, by the clock alone.
    pub(crate) until_ms: u64,
}

impl Seer {
    /// Whether they still may; not, if nobody can tell. Blocks.
    pub(crate) fn may_go_on(&self, service: &Service) -> bool {
        let sees = || service.may_see(self.session.address, self.subject);
        let is_as_before = |seeing: Seeing| seeing.document.is_none() == self.is_whole;
        self.is_own || matches!(sees(), Ok(Some(seeing)) if is_as_before(seeing))
    }
}

/// How much of an entry somebody may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// All of it: for its subject.
    Opened,
    /// All but the place, which would tell about the person's other entries: for its reporter.
    PlaceHashed,
}

impl Caller {
    /// Whoever is signed in.
    pub(crate) fn session(&self) -> Result<&Session, Problem> {
        match self {
            Self::SignedIn(session) => Ok(session),
            Self::Nobody | Self::SignedOut => Err(Problem::signed_out()),
            Self::Organisation(_) => {
                Err(Problem::new(&problem::NOT_PERSON, "an API key is not a person"))
            }
        }
    }

    /// The operator, or nothing: decided before anything is looked up.
    pub(crate) fn operator(&self, state: &State) -> Result<Address, Problem> {
        let refused = || Problem::new(&problem::NOT_OPERATOR, "this is no key of the operator");
        match self {
            Self::SignedIn(session) if state.is_operator(session.address) => Ok(session.address),
            Self::SignedIn(_) | Self::Organisation(_) => Err(refused()),
            Self::Nobody | Self::SignedOut => Err(Problem::signed_out()),
        }
    }

    /// The organisation that asks.
    pub(crate) fn organisation(&self, state: &State) -> Result<Address, Problem> {
        let refused = || Problem::new(&problem::NOT_ORGANISATION, "this is no organisation's key");
        match self {
            Self::SignedIn(session) => state.organisation_of(session.address).ok_or_else(refused),
            Self::Organisation(caller) => Ok(caller.organisation),
            Self::Nobody | Self::SignedOut => Err(Problem::signed_out()),
        }
    }

    /// Whoever may see the trail of `subject`: the person, or who acts for them. Of others the trail
    /// has a line when this returns.
    pub(crate) async fn sees(&self, state: &Data<State>, subject: &str) -> Result<Seer, Problem> {
        let who = match self {
            Self::Organisation(_) => return Err(Problem::no_such_trail()),
            other => other.session()?,
        };
        let subject = parse_subject(subject).ok_or_else(Problem::no_such_trail)?;
        let is_own = subject == who.address.into_word();
        let seer = |until_ms, is_whole| {
            let session = who.clone();
            Seer { session, subject, is_own, is_whole, until_ms }
        };
        if is_own {
            return Ok(seer(u64::MAX, true));
        }
        let (service, address) = (state.service.clone(), who.address);
        let looking = blocking(move || {
            let seeing = service.may_see(address, subject)?.ok_or_else(Problem::no_such_trail)?;
            service.note_look(address, subject)?;
            Ok::<_, Problem>((seeing.until_ms, seeing.document.is_none()))
        });
        looking.await.map(|(until_ms, is_whole)| seer(until_ms, is_whole))
    }

    /// The person whose trail `subject` is, if that is who asks. An address in 20 or 32 bytes.
    pub(crate) fn trail_of(&self, subject: &str) -> Result<&Session, Problem> {
        let session = match self {
            Self::Organisation(_) => return Err(Problem::no_such_trail()),
            other => other.session()?,
        };
        let asked = subject.parse::<Address>().map(|address| address.into_word());
        let asked = asked.or_else(|_| subject.parse::<B256>());
        match asked.is_ok_and(|asked| asked == session.address.into_word()) {
            true => Ok(session),
            false => Err(Problem::no_such_trail()),
        }
    }

    /// Who looks into the vault of whom. A person names nobody and means themself; who acts for
    /// somebody names them; an organisation must.
    pub(crate) fn reader(
        &self,
        state: &State,
        subject: Option<&str>,
    ) -> Result<(Reader, B256), Problem> {
        let named = subject.map(parse_subject);
        let organisation = |id: Address| {
            let (id, name) = state.named(id);
            Reader::Organisation { id, name }
        };
        match self {
            Self::SignedIn(Session { address, .. }) => {
                let own = address.into_word();
                let subject = named.unwrap_or(Some(own)).ok_or_else(Problem::no_such_record)?;
                let reader = match state.organisation_of(*address) {
                    Some(id) if state.service.subject_now(subject) != own => organisation(id),
                    _ => Reader::Person(*address),
                };
                Ok((reader, subject))
            }
            Self::Organisation(caller) => {
                let told = "an organisation names whose records it means: an address or pseudonym";
                let missing = || Problem::new(&problem::INVALID_QUERY, told).at("subject");
                let subject = named.flatten().ok_or_else(missing)?;
                Ok((organisation(caller.organisation), subject))
            }
            Self::Nobody | Self::SignedOut => Err(Problem::signed_out()),
        }
    }

    /// Which side of requests for changes the caller is on: the person's, where one is named or no
    /// organisation asks.
    pub(crate) fn side(&self, state: &State, subject: Option<&str>) -> Result<Side, Problem> {
        match (self, subject) {
            (Self::SignedIn(session), Some(subject)) => {
                let subject = parse_subject(subject).ok_or_else(Problem::no_such_request)?;
                Ok(Side::Person { who: session.address, subject })
            }
            (Self::SignedIn(session), None) => {
                let (who, subject) = (session.address, session.address.into_word());
                let organisation = state.organisation_of(who).map(Side::Organisation);
                Ok(organisation.unwrap_or(Side::Person { who, subject }))
            }
            (Self::Organisation(caller), _) => Ok(Side::Organisation(caller.organisation)),
            (Self::Nobody | Self::SignedOut, _) => Err(Problem::signed_out()),
        }
    }

    /// How much of this entry the caller may see; `None` for nothing.
    fn view(&self, state: &State, entry: &Entry) -> Option<View> {
        let subject = entry.report.subject;
        let (person, organisation) = match self {
            Self::SignedIn(Session { address, .. }) => {
                // A key that an organisation has no more reads nothing for it.
                (Some(*address), state.organisation_of(*address))
            }
            Self::Organisation(caller) => (None, Some(caller.organisation)),
            Self::Nobody | Self::SignedOut => return None,
        };
        let is_subject = |person| state.service.is_theirs(person, subject);
        if !subject.is_zero() && person.is_some_and(is_subject) {
            return Some(View::Opened);
        }
        let concerns =
            |id| state.service.is_addressed(id, entry.index) || reported_by(state, id, entry);
        organisation.is_some_and(concerns).then_some(View::PlaceHashed)
    }

    /// The entry as the caller is shown it who acts for its person and may see it; then the trail
    /// has a line that says who looks. Blocks.
    fn sees_entry(&self, state: &State, entry: Entry) -> Result<Option<Entry>, Problem> {
        let Self::SignedIn(Session { address, .. }) = self else { return Ok(None) };
        let service = &state.service;
        let own = service.subject_now(entry.report.subject);
        let mut found = service.may_see(*address, own)?.map(|seeing| (own, seeing));
        // Whom control moved to sees the lines of the person's aliases; who acts for them does not.
        if let (None, Some(person)) = (&found, service.joined_to(own)) {
            let whole = person.into_word();
            let seeing = service.may_see(*address, whole)?;
            found = seeing.filter(|one| one.document.is_none()).map(|seeing| (whole, seeing));
        }
        let Some((subject, seeing)) = found else { return Ok(None) };
        service.note_look(*address, subject)?;
        Ok(Some(match seeing.document {
            None => service.shown_whole(subject, entry),
            Some(_) => service.shown(entry),
        }))
    }

    /// The entry at `index`, as far as the caller may see it; else the answer for an entry that
    /// does not exist.
    pub(crate) async fn entry(
        self,
        state: &Data<State>,
        index: &str,
        place: Option<ShownPlace>,
    ) -> Result<(Entry, View), Problem> {
        // Whoever was signed in is told to sign in again, whichever entry it is. Who holds a place
        // hash needs no session.
        if matches!(self, Self::SignedOut) && place.is_none() {
            return Err(Problem::signed_out());
        }
        let index = parse_index(index, state)?;
        let state = state.clone();
        blocking(move || {
            let entry = match state.service.entry(index) {
                Err(error) if is_damage(&error) => {
                    state.damaged.tell(index);
                    let is_own = |person| state.service.is_own(person, index).unwrap_or(false);
                    // Who reported it, nobody can tell any more.
                    return Err(match &self {
                        Self::SignedIn(session) if is_own(session.address) => {
                            Problem::new(&problem::DAMAGED, "what was asked for is damaged")
                        }
                        _ => Problem::no_such_entry(),
                    });
                }
                read => read?,
            };
            match self.view(&state, &entry) {
                Some(View::Opened) => {
                    let Self::SignedIn(Session { address, .. }) = &self else {
                        return Err(Problem::no_such_entry());
                    };
                    let shown = state.service.shown_whole(address.into_word(), entry);
                    return Ok((shown, View::Opened));
                }
                Some(View::PlaceHashed) => return Ok((entry, View::PlaceHashed)),
                None => {}
            }
            if place.is_some_and(|place| place.opens(entry.place.hash())) {
                return Ok((entry, View::PlaceHashed));
            }
            let shown = self.sees_entry(&state, entry)?.ok_or_else(Problem::no_such_entry)?;
            Ok((shown, View::Opened))
        })
        .await
    }
}

fn is_damage(error: &EntryError) -> bool {
    matches!(error, EntryError::Damaged(_) | EntryError::Journal(JournalError::Damaged(_)))
}

/// Entries that were found damaged, so that whoever asks for one again and again fills no log.
#[derive(Default)]
pub(crate) struct Damaged(Mutex<HashSet<u64>>);

impl Damaged {
    /// Tells the operator, once.
    fn tell(&self, index: u64) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < DAMAGED_TOLD_MAX && told.insert(index) {
            tracing::error!("entry {index} is damaged on disk; run `medtrail fsck`");
        }
    }
}

/// Whether the organisation reported this entry. Blocks.
fn reported_by(state: &State, organisation: Address, entry: &Entry) -> bool {
    if !state.service.may_read(organisation, entry) {
        return false;
    }
    // Its id is the address of its first key, which may be a person's too: her trail is not her
    // organisation's to read.
    let subject = entry.report.subject;
    if !state.service.is_theirs(organisation, subject) {
        return true;
    }
    let before = entry.index.checked_add(1);
    let query = TrailQuery { before, limit: 1, ..TrailQuery::default() };
    let newest = state.service.reported(organisation, subject, &query);
    newest.is_ok_and(|page| page.entries.first().is_some_and(|one| one.index == entry.index))
}

/// A subject in 20 or 32 bytes; nobody is none.
fn parse_subject(text: &str) -> Option<B256> {
    let address = text.parse::<Address>().map(|address| address.into_word());
    address.or_else(|_| text.parse::<B256>()).ok().filter(|subject| !subject.is_zero())
}

/// An index that is none, or beyond the log, is one more entry that does not exist.
fn parse_index(text: &str, state: &State) -> Result<u64, Problem> {
    let parsed = text.parse().ok().filter(|index| *index < state.service.head().size);
    parsed.ok_or_else(Problem::no_such_entry)
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<State>>().cloned().expect("every app has its state");
        let presented = Presented::by(request, &state);
        let from = Client::of(request);
        Box::pin(async move {
            let caller = match presented? {
                Presented::Nothing => return Ok(Self::Nobody),
                Presented::Token(token) => {
                    state.sessions.find(&token, state.now_ms()).map(Self::SignedIn)
                }
                Presented::ApiKey(key) => {
                    let asked = state.clone();
                    let found =
                        blocking(move || Ok::<_, Problem>(asked.service.api_key(&key))).await?;
                    if found.is_none() {
                        state.rates.guess(from)?;
                    }
                    found.map(Self::Organisation)
                }
                Presented::Unreadable => None,
            };
            Ok(caller.unwrap_or(Self::SignedOut))
        })
    }
}

/// What a request shows to say who asks.
enum Presented {
    Nothing,
    Unreadable,
    Token(String),
    ApiKey(String),
}

impl Presented {
    /// A header was meant; a cookie comes by itself, so that it counts only if there is no header,
    /// and for changes only from our own page.
    fn by(request: &HttpRequest, state: &State) -> Result<Self, Problem> {
        if let Some(header) = request.headers().get(AUTHORIZATION) {
            let text = header.to_str().unwrap_or_default();
            return Ok(match text.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    let token = token.trim().to_owned();
                    match token.starts_with(API_KEY_PREFIX) {
                        true => Self::ApiKey(token),
                        false => Self::Token(token),
                    }
                }
                _ => Self::Unreadable,
            });
        }
        let Some(cookie) = request.cookie(COOKIE) else { return Ok(Self::Nothing) };
        require_own_page(request, state)?;
        Ok(Self::Token(cookie.value().to_owned()))
    }
}

/// Refuses what changes something and comes from another site's page: browsers send cookies along
/// whoever asks. `Sec-Fetch-Site` cannot be set by a page, `Origin` not to another's value.
pub(crate) fn require_own_page(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if request.method().is_safe() {
        return Ok(());
    }
    let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
    let is_own = match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => site == b"same-origin",
        (None, Some(origin)) => origin.eq_ignore_ascii_case(state.site.origin.as_bytes()),
        (None, None) => false,
    };
    let told = "a change by cookie must come from this service's own page";
    is_own.then_some(()).ok_or_else(|| Problem::new(&problem::CROSS_SITE, told))
}

/// The place hash a caller shows, in the header `Medtrail-Place: 0x…`: 32 bytes with a secret salt
/// in them, which only its reporter (from the receipt), its subject and the operator know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownPlace(Option<B256>);

impl ShownPlace {
    /// Whether it opens the entry with this place. Takes the same time wherever they differ, so
    /// that the hash cannot be guessed a byte at a time.
    fn opens(self, place_hash: B256) -> bool {
        let shown = self.0.unwrap_or_default();
        let is_equal = aws_lc_rs::constant_time::verify_slices_are_equal(
            shown.as_slice(),
            place_hash.as_slice(),
        );
        is_equal.is_ok() && self.0.is_some()
    }
}

impl FromRequest for ShownPlace {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// Unreadable keys are answered like a wrong one; a missing one is an error for `Option` to
    /// catch.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get("Medtrail-Place");
        let shown = header.map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
        ready(shown.map(Self).ok_or_else(Problem::no_such_entry))
    }
}

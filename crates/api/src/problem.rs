//! Every refusal of this interface, in one place: RFC 9457 `application/problem+json`.
//!
//! A [`Kind`] is stable: programs match on its `type`. What happened in this very case stands in
//! `detail`, the member to blame in `field`, and what to do about it in `advice`.

mod errors;

use crate::limits::DETAIL_CHARS_MAX;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use alloy_primitives::B256;
use medtrail_oracle::vault::Why;
use serde::Serialize;
use std::fmt;

/// One way to be refused.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) slug: &'static str,
    pub(crate) status: StatusCode,
    title: &'static str,
    advice: &'static str,
    /// Seconds after which trying again makes sense.
    pub(crate) retry_after_s: Option<u32>,
}

/// Declares the kinds, and the list of all of them.
macro_rules! kinds {
    ($($name:ident = $slug:literal $status:ident $(after $seconds:literal)?:
        $title:literal, $advice:literal;)+) => {
        $(pub(crate) static $name: Kind = Kind {
            slug: $slug,
            status: StatusCode::$status,
            title: $title,
            advice: $advice,
            retry_after_s: [$(Some($seconds),)? None][0],
        };)+
        /// All kinds, as `/problems/…` explains them.
        pub(crate) static KINDS: &[&Kind] = &[$(&$name),+];
    };
}

kinds! {
    MALFORMED_JSON = "malformed-json" BAD_REQUEST: "The body is not JSON",
        "Mend the JSON at the line and column named.";
    MALFORMED_REQUEST = "malformed-request" BAD_REQUEST: "The request could not be read",
        "Send the whole body, framed as HTTP asks.";
    INVALID_FIELD = "invalid-field" UNPROCESSABLE_ENTITY: "A field breaks its rule",
        "Correct the field named and send the request again.";
    INVALID_QUERY = "invalid-query" UNPROCESSABLE_ENTITY: "A query parameter breaks its rule",
        "Correct the parameter named.";
    WRONG_LOG = "wrong-log" UNPROCESSABLE_ENTITY: "Made for another log",
        "Take the log's id from /.well-known/medtrail.json and sign the report anew.";
    KIND_NOT_REPORTED = "kind-not-reported" UNPROCESSABLE_ENTITY: "No kind a custodian reports",
        "Use a kind that custodians report and sign the report anew.";
    UNKNOWN_ACTION = "unknown-action" UNPROCESSABLE_ENTITY: "No FHIR AuditEvent action",
        "Use 67, 82, 85, 68 or 69 (C, R, U, D, E), or 0, and sign the report anew.";
    EVENT_ID_MISSING = "event-id-missing" UNPROCESSABLE_ENTITY: "The event has no id",
        "Derive eventId from your own event id and sign the report anew.";
    TIME_AHEAD = "time-ahead" UNPROCESSABLE_ENTITY: "The event lies in the future",
        "Set the reporting system's clock and sign the report anew.";
    DETAILS_MISMATCH = "details-mismatch" UNPROCESSABLE_ENTITY: "Other details than were signed",
        "Send the details byte for byte as they were hashed: SHA-256 over the JSON value itself, \
         without the blanks around it.";
    DETAILS_TOO_LONG = "details-too-long" PAYLOAD_TOO_LARGE: "The details are too long",
        "Shorten the details, or keep the document and report its hash alone.";
    DETAILS_RESERVED = "details-reserved" UNPROCESSABLE_ENTITY: "Details that only the log writes",
        "Send a document of your own: versions of relayed, binding, operation, refusal, \
         erasure, hold and accounting documents belong to the log; those of versions, reads and \
         change requests go to /v1/records and /v1/approvals.";
    SIGNATURE_REFUSED = "signature-refused" UNPROCESSABLE_ENTITY: "The signature is not acceptable",
        "Sign the EIP-712 digest with the actor's key and send r, s and v (27 or 28), s in the \
         lower half of the order.";
    SIGNER_MISMATCH = "signer-mismatch" UNPROCESSABLE_ENTITY: "Signed by somebody else",
        "Sign with the key of report.actor, over this very report, chain and registry.";
    UNSIGNED = "unsigned" UNPROCESSABLE_ENTITY: "Not signed",
        "Sign the report with its actor's key.";
    UNKNOWN_CUSTODIAN = "unknown-custodian" FORBIDDEN: "Not a key of any organisation here",
        "Ask the operator to add this address to your organisation.";
    EVENT_CONFLICT = "event-conflict" CONFLICT: "The event was reported otherwise before",
        "Leave it if the first report is right; else report a correction (kind 13) under an \
         event id of its own.";
    ROOT_MISMATCH = "root-mismatch" UNPROCESSABLE_ENTITY: "The root is not that of the items",
        "Compute the RFC 9162 root over the items' report hashes in their order, and sign it.";
    COUNT_MISMATCH = "count-mismatch" UNPROCESSABLE_ENTITY: "The count is not that of the items",
        "Send exactly the items that were signed.";
    TOO_MANY_REPORTS = "too-many-reports" PAYLOAD_TOO_LARGE: "Too many reports at once",
        "Send them in several requests.";
    BODY_TOO_LONG = "body-too-long" PAYLOAD_TOO_LARGE: "The body is too long",
        "Send less at once.";
    BODY_TOO_SLOW = "body-too-slow" REQUEST_TIMEOUT: "The body did not come in time",
        "Send the request again, faster or with less in it.";
    MEDIA_TYPE = "media-type" UNSUPPORTED_MEDIA_TYPE: "Not a media type taken here",
        "Send application/json or application/x-ndjson in UTF-8, not compressed.";
    BUSY = "busy" SERVICE_UNAVAILABLE after 1: "The log takes no more reports just now",
        "Send the same report again after the time named; nothing was written.";
    DISK_FULL = "disk-full" SERVICE_UNAVAILABLE after 60: "The log's disk is full",
        "Send the same report again later; nothing was written.";
    OUTCOME_UNKNOWN = "outcome-unknown" SERVICE_UNAVAILABLE after 1: "Written or not: not known",
        "Send the very same report again: if it was written it gets the same place.";
    STOPPED = "stopped" SERVICE_UNAVAILABLE after 5: "The log has stopped taking reports",
        "Send the same report again once the log is back.";
    STORAGE = "storage" SERVICE_UNAVAILABLE after 5: "The log's disk could not be read",
        "Ask again later; the operator has been told.";
    DAMAGED = "damaged" INTERNAL_SERVER_ERROR: "Bytes on the log's disk are damaged",
        "Nothing you can do: the operator must run `medtrail fsck`.";
    INTERNAL = "internal" INTERNAL_SERVER_ERROR: "A fault of ours",
        "Tell the operator the id in X-Request-Id.";
    SIGNED_OUT = "signed-out" UNAUTHORIZED: "Nobody is signed in",
        "Sign in with GET /v1/session/nonce and POST /v1/session, or send a valid API key.";
    SIGN_IN_REFUSED = "sign-in-refused" UNPROCESSABLE_ENTITY: "Not a message that signs you in",
        "Take the message from GET /v1/session/nonce and sign it as it is with personal_sign.";
    NONCE_UNKNOWN = "nonce-unknown" UNPROCESSABLE_ENTITY: "The nonce is used, too old or another's",
        "Take a new message from GET /v1/session/nonce and sign that.";
    CONTROL_LOST = "control-lost" FORBIDDEN: "This key speaks for its address no more",
        "Sign in with the key that control moved to, and name the old address as the subject. If \
         you know of no recovery, ask your trustees.";
    CROSS_SITE = "cross-site" FORBIDDEN: "Asked for by another site",
        "Send it from the page of this service, or sign in with a bearer token.";
    NOT_OPERATOR = "not-operator" FORBIDDEN: "Only the operator may do this",
        "Sign in with the operator's key.";
    NOT_ORGANISATION = "not-organisation" FORBIDDEN: "Only an organisation may do this",
        "Sign in with a key of the organisation, or send its API key.";
    SIGN_YOURSELF = "sign-yourself" FORBIDDEN: "An organisation with a key signs its reports",
        "Send the event to your own gateway, which signs it, or use an API key.";
    NOT_PERSON = "not-person" FORBIDDEN: "Only a person signed in may do this",
        "Sign in with a wallet; an API key is not enough.";
    TOO_MANY_REQUESTS = "too-many-requests" TOO_MANY_REQUESTS: "Asked too often",
        "Wait the time named in Retry-After.";
    TOO_MANY_STREAMS = "too-many-streams" TOO_MANY_REQUESTS after 5: "Too many streams are open",
        "Close one of your other streams first.";
    SUBJECT_MOVED = "subject-moved" CONFLICT: "This person is now known by another id",
        "Make the report for the subject named here, sign it anew and send that. It is named to the \
         organisation whose pseudonym this was.";
    ORGANISATION_EXISTS = "organisation-exists" CONFLICT: "Listed already",
        "Take another name or key, or invite a further key of the one that is listed.";
    NO_SUCH_ORGANISATION = "no-such-organisation" NOT_FOUND: "No such organisation",
        "Take the id from /v1/organisations.";
    NO_SUCH_INVITE = "no-such-invite" NOT_FOUND: "No such invite, or not any more",
        "Ask the operator for a new invite.";
    INVITE_USED = "invite-used" CONFLICT: "The invite was used",
        "If it was not you who used it, tell the operator at once.";
    INVITE_FOR_ANOTHER = "invite-for-another" FORBIDDEN: "The invite is for another key",
        "Sign in with the key that the invite names.";
    KEY_TAKEN = "key-taken" CONFLICT: "The key belongs to somebody",
        "Make a new key and sign in with that.";
    NO_SUCH_API_KEY = "no-such-api-key" NOT_FOUND: "No such API key",
        "Name the id that was given when the key was made.";
    NO_SIGNING_KEY = "no-signing-key" FORBIDDEN: "Not without a signing key",
        "Enrol a key of the organisation first: whoever only has an API key identifies nobody.";
    FOREIGN_PSEUDONYM = "foreign-pseudonym" FORBIDDEN: "Not your pseudonym",
        "Make the pseudonym with your own shared key.";
    ALREADY_BOUND = "already-bound" CONFLICT: "The pseudonym is somebody's",
        "Tell the person; whose it is was told of this attempt.";
    ALIAS_TAKEN = "alias-taken" CONFLICT: "That address has joined another one",
        "Draw a fresh address in your wallet, and join that one.";
    ALIAS_NOT_FRESH = "alias-not-fresh" CONFLICT: "That address is more than one to sell under",
        "Draw a fresh address in your wallet, and join that one.";
    IS_ALIAS = "is-alias" CONFLICT: "You are signed in with an address that you sell under",
        "Sign in with your own address.";
    TOO_MANY_ALIASES = "too-many-aliases" CONFLICT: "As many addresses as one person can have",
        "Sell under one of those that you have.";
    CONTROL_MOVED = "control-moved" CONFLICT: "Control of an address has moved",
        "Sign with two addresses whose own keys have control of them.";
    NO_SUCH_CODE = "no-such-code" NOT_FOUND: "No such code",
        "Type the code again, or ask at the desk for a new one.";
    CODE_TAKEN = "code-taken" CONFLICT: "The code was given out before",
        "Draw another code.";
    CODE_USED = "code-used" CONFLICT: "Somebody else used the code",
        "Tell the desk, and ask for a new code.";
    CODE_EXPIRED = "code-expired" GONE: "The code has expired",
        "Ask at the desk for a new code.";
    TOO_MANY_CODES = "too-many-codes" TOO_MANY_REQUESTS after 3600: "Too many codes are open",
        "Wait until some have expired.";
    TOO_MANY_TRIES = "too-many-tries" TOO_MANY_REQUESTS after 3600: "Too many wrong codes",
        "Wait, and ask at the desk for a new code.";
    NO_SUCH_BINDING = "no-such-binding" NOT_FOUND: "No such binding of yours",
        "Begin with the code again.";
    NOT_ENTERED = "not-entered" SERVICE_UNAVAILABLE after 1: "Signed, but not in the log yet",
        "Send the same signature again: nothing happens twice.";
    NOT_THEIR_WORD = "not-their-word" UNPROCESSABLE_ENTITY: "Not signed by who acts for this person",
        "Let the person sign the document's EIP-712 digest under this log's registries, or who acts \
         for them.";
    NOT_GRANTED = "not-granted" UNPROCESSABLE_ENTITY: "Neither signed nor granted on chain",
        "Send the signature with it, or grant it in the ConsentRegistry first.";
    NOT_FINAL = "not-final" CONFLICT after 30: "On chain, but not in a final block yet",
        "Send it again once the block is final.";
    PERMISSIONS_FROZEN = "permissions-frozen" CONFLICT: "This person's permissions are frozen",
        "Unfreeze them in the ConsentRegistry; what takes something back is taken all the while.";
    TOO_MANY_PERMISSIONS = "too-many-permissions" CONFLICT: "As many documents as a trail holds",
        "Give one permission that covers more, in place of many.";
    NOT_PERMITTED = "not-permitted" FORBIDDEN: "The person did not permit this",
        "Ask the person for a permission that covers it, and name that; the person was told of this \
         attempt.";
    VERSION_CONFLICT = "version-conflict" CONFLICT: "Another version counts by now",
        "Read the version that counts, build on that, and sign anew; nothing was changed.";
    CONTENT_MISMATCH = "content-mismatch" UNPROCESSABLE_ENTITY: "Other bytes than were signed for",
        "Send the very bytes whose SHA-256 is report.toVersion, in base64.";
    VAULT_FULL = "vault-full" CONFLICT: "No room in this person's vault",
        "Delete what is not needed, or keep it elsewhere.";
    TOO_MANY_RECORDS = "too-many-records" CONFLICT: "As many as the vault takes",
        "Wait for answers, or let the person delete what is not needed.";
    NO_SUCH_RECORD = "no-such-record" NOT_FOUND: "No record that you may see",
        "Sign in as the person it is about; an organisation needs their permission.";
    NO_SUCH_REQUEST = "no-such-request" NOT_FOUND: "No request that you may see",
        "Sign in as the person who was asked, or as the organisation that asked.";
    NOT_WAITING = "not-waiting" CONFLICT: "The request has ended",
        "Look at how it stands, and ask anew if that is still wanted.";
    DOCUMENT_EXPIRED = "document-expired" UNPROCESSABLE_ENTITY: "It had to be recorded earlier",
        "Sign it anew, with a later expiresAt.";
    ERASURE_WAITS = "erasure-waits" CONFLICT: "An erasure is waiting already",
        "Let it be done, or cancel it first: DELETE /v1/subjects/{subject}/erasure.";
    ERASURE_LINES = "erasure-lines" CONFLICT: "The trail has another last line by now",
        "Sign the document anew up to the line named, which GET /v1/subjects/{subject}/erasure \
         tells too.";
    ERASURE_REFUSED = "erasure-refused" CONFLICT: "The law keeps this from being erased",
        "Read the line named: it holds the reason, and what you signed. Ask again once the reason \
         has ended, or turn to the data protection authority.";
    ERASURE_UNDER_WAY = "erasure-under-way" CONFLICT: "It is being done now",
        "Nothing: keys that were destroyed are not brought back.";
    NO_SUCH_ERASURE = "no-such-erasure" NOT_FOUND: "No erasure is waiting",
        "GET /v1/subjects/{subject}/erasure tells what became of it.";
    NO_SUCH_HOLD = "no-such-hold" NOT_FOUND: "No such legal hold",
        "GET /v1/holds lists them.";
    ERASED = "erased" GONE: "It was reported before, and erased since",
        "Nothing: it stands in the log, and no receipt can be made of it any more.";
    CHAIN_UNREADABLE = "chain-unreadable" SERVICE_UNAVAILABLE after 30: "The chain cannot be read",
        "Ask, or send the same document, again later; nothing was written.";
    NO_CHANNEL = "no-channel" CONFLICT: "This log has no such channel",
        "Choose one of those that GET …/notices names as available.";
    NOBODY_TO_ASK = "nobody-to-ask" CONFLICT: "No organisation stands behind this line",
        "Ask about a line that an organisation reported.";
    QUESTION_OPEN = "question-open" CONFLICT: "A question about this line waits already",
        "Wait for its answer, or for the day until which it is due.";
    TOO_MANY_QUESTIONS = "too-many-questions" TOO_MANY_REQUESTS after 3600: "Too many questions wait",
        "Wait until some are answered or their time has passed.";
    NO_SUCH_INQUIRY = "no-such-inquiry" NOT_FOUND: "No question or claim that concerns you",
        "Take the id from GET /v1/questions or GET /v1/claims.";
    ALREADY_ANSWERED = "already-answered" CONFLICT: "It has its answer",
        "Correct that answer (kind 13) if it was wrong.";
    ANSWERED_OFTEN = "answered-often" CONFLICT: "The answer was changed as often as it can be",
        "Tell the organisation by another way.";
    NO_SUCH_SOURCE = "no-such-source" NOT_FOUND: "No source that you may move",
        "Take the id from GET /v1/sources, and sign as who registered it, or as the person.";
    SOURCE_ELSEWHERE = "source-elsewhere" CONFLICT: "The source is not there any more",
        "Read where it is from GET /v1/sources, and sign a move from there.";
    TOO_MANY_SOURCES = "too-many-sources" CONFLICT: "As many sources as there is room for",
        "Move one that is not needed any more instead of registering another.";
    INQUIRY_MISMATCH = "inquiry-mismatch" UNPROCESSABLE_ENTITY: "Signed about something else",
        "Name the commitment, the subject and the kind that belong to it, and sign the report anew.";
    MARKET_OFF = "market-off" NOT_FOUND: "Nothing is sold here",
        "Nothing: the operator of this log has no market.";
    MARKET_RULE = "market-rule" FORBIDDEN: "Not sold for people who live there",
        "GET /v1/market tells what may be sold from which country, and in what form.";
    NEVER_SOLD = "never-sold" FORBIDDEN: "Never sold",
        "Nothing: the data of children, and of people with a guardian, are not sold.";
    OPTED_OUT = "opted-out" CONFLICT: "The seller has opted out of all sales",
        "PUT /v1/market/opt-out with isOut false first, if that is wanted.";
    NOTHING_TO_SELL = "nothing-to-sell" UNPROCESSABLE_ENTITY: "Nothing of it is in the vault",
        "Put it into the vault first, or offer what is there.";
    TOO_MUCH_TO_SELL = "too-much-to-sell" UNPROCESSABLE_ENTITY: "More than one delivery holds",
        "Offer a shorter period, or fewer types.";
    TOO_MANY_OFFERS = "too-many-offers" CONFLICT: "As many offers as one seller has",
        "Withdraw one, or wait until one has expired.";
    NO_SUCH_OFFER = "no-such-offer" NOT_FOUND: "No such offer",
        "Take the id from GET /v1/offers.";
    NO_SUCH_CALL = "no-such-call" NOT_FOUND: "No such call",
        "Take the id from GET /v1/calls.";
    NOT_OPENED = "not-opened" CONFLICT: "The contract has no money for it",
        "Pay by `open` in the cohort market, and list it once that is mined.";
    TOO_MANY_CALLS = "too-many-calls" CONFLICT: "As many calls as one buyer has",
        "Wait until one is closed.";
    CALL_TOO_FAR = "call-too-far" CONFLICT: "This call has gone too far",
        "Look at how it stands; on the chain `revoke` ends an acceptance that is not settled.";
    PLACE_TAKEN = "place-taken" CONFLICT: "Somebody was faster",
        "Ask for the call again, and sign what it proposes then.";
    ALREADY_ACCEPTED = "already-accepted" CONFLICT: "You have a place of this call",
        "DELETE …/acceptances first, if you want another.";
    ACCEPTED_OFTEN = "accepted-often" CONFLICT: "Accepted and taken back too often",
        "Nothing: this call takes no more of you.";
    NOT_ACCEPTED = "not-accepted" NOT_FOUND: "You have not accepted this call",
        "Look at how it stands: `own` has what you accepted.";
    NO_SUCH_SALE = "no-such-sale" NOT_FOUND: "No sale that you may see",
        "Sign in as its seller or its buyer.";
    NOT_PAID = "not-paid" CONFLICT: "The contract has no money for it",
        "Pay by `buy` in the market contract, and tell of it once that is mined.";
    SALE_TOO_FAR = "sale-too-far" CONFLICT: "This sale has gone too far",
        "Look at how it stands.";
    NOT_DELIVERED = "not-delivered" CONFLICT: "Nothing was delivered yet",
        "Before that, POST …/decline ends a sale, and DELETE …/acceptances a yes to a call.";
    NOT_WITHDRAWN = "not-withdrawn" CONFLICT: "The seller has not withdrawn",
        "Nothing: nobody asks you to delete anything.";
    NO_DELIVERY = "no-delivery" NOT_FOUND: "Nothing to download",
        "Look at how the sale stands: there is a file from `delivered` on, of a call from `ready` on.";
    NO_LOOK = "no-look" FORBIDDEN: "This sale lets you look at nothing now",
        "See `reason`: a settlement takes some minutes until it is final; what is over, or was ended, \
         takes a new sale.";
    RANGE = "range" RANGE_NOT_SATISFIABLE: "No such part of the file",
        "Ask for bytes that it has; its length stands in the sale.";
    NOT_ACCEPTABLE = "not-acceptable" NOT_ACCEPTABLE: "Not in a form you read",
        "Accept application/json.";
    NO_SUCH_TRAIL = "no-such-trail" NOT_FOUND: "No trail that you may see",
        "Ask for the trail of the address you are signed in with.";
    NO_SUCH_ENTRY = "no-such-entry" NOT_FOUND: "No entry that you may see",
        "Sign in as the person concerned or as who reported it, or send the header \
         Medtrail-Place with the placeHash of the entry's receipt.";
    NOT_ANCHORED = "not-anchored" NOT_FOUND after 10: "Recorded, but not anchored yet",
        "Ask again after the log's next anchor; until then the receipt stands for the entry.";
    NOT_FOUND = "not-found" NOT_FOUND: "Nothing here",
        "Check the path.";
    METHOD_NOT_ALLOWED = "method-not-allowed" METHOD_NOT_ALLOWED: "Not a method of this path",
        "Use one of the methods in Allow.";
}

/// One refusal.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) kind: &'static Kind,
    detail: String,
    field: Option<String>,
    /// What few refusals have to say. Boxed: every handler returns one of these or an answer.
    more: Option<Box<More>>,
}

#[derive(Debug, Default)]
struct More {
    /// The entry that stands in the way.
    index: Option<u64>,
    /// The subject a report must be made for instead.
    subject: Option<B256>,
    /// Seconds after which trying again makes sense, where that is known better than by kind.
    after_s: Option<u32>,
    /// Methods that are taken here.
    allowed: Option<String>,
    /// The version that counts.
    current: Option<B256>,
    /// Why it was not permitted.
    reason: Option<Why>,
    /// The document that came nearest.
    document: Option<B256>,
}

impl Problem {
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { kind, detail, field: None, more: None }
    }

    /// Names the member to blame.
    pub(crate) fn at(mut self, field: impl AsRef<str>) -> Self {
        self.field = Some(field.as_ref().chars().take(DETAIL_CHARS_MAX).collect());
        self
    }

    fn with(self, more: More) -> Self {
        Self { more: Some(Box::new(more)), ..self }
    }

    /// Names the time to wait, in seconds.
    pub(crate) fn after(self, seconds: u32) -> Self {
        self.with(More { after_s: Some(seconds), ..More::default() })
    }

    /// Names the subject that a report must be made for instead.
    pub(crate) fn instead(self, subject: B256) -> Self {
        let detail = format!("{}; report for {subject} from now on", self.detail);
        let more = More { subject: Some(subject), ..More::default() };
        Self { detail, ..self }.with(more)
    }

    /// Another method than those that a path takes.
    pub(crate) fn method_not_allowed(method: &Method, allowed: &str) -> Self {
        let method = method.as_str();
        let method = method.get(..16).unwrap_or(method);
        let told = format!("{method} is not taken here, {allowed} is");
        let more = More { allowed: Some(allowed.to_owned()), ..More::default() };
        Self::new(&METHOD_NOT_ALLOWED, told).with(more)
    }

    /// The same where nothing can be made by any method, because a person signs it.
    pub(crate) fn signed_by_the_person(method: &Method, allowed: &str) -> Self {
        let problem = Self::method_not_allowed(method, allowed);
        let detail = format!(
            "{}: a permission is given and taken back by a signature of the person, on the page or \
             with `medtrail grant` and `medtrail revoke`, and carried to the log by POST \
             /v1/permissions",
            problem.detail
        );
        Self { detail, ..problem }
    }

    /// An error that has no place here yet: until it has, nothing is known of whose fault it is.
    fn fault(error: &dyn std::error::Error) -> Self {
        tracing::error!("no problem is known for: {error}");
        Self::new(&INTERNAL, "what was asked for was not done")
    }

    /// What happened in this very case.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> &'static str {
        self.kind.advice
    }

    /// Whether something that could be guessed was shown and opened nothing.
    pub(crate) fn is_wrong_code(&self) -> bool {
        [&NO_SUCH_INVITE, &NO_SUCH_CODE, &CODE_USED].iter().any(|kind| kind.slug == self.kind.slug)
    }

    /// Seconds after which trying again makes sense.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        let known = self.more.as_ref().and_then(|more| more.after_s);
        known.or(self.kind.retry_after_s)
    }

    /// No organisation has this id.
    pub(crate) fn no_such_organisation() -> Self {
        Self::new(&NO_SUCH_ORGANISATION, "no organisation has this id")
    }

    /// One answer for a binding that is absent or not the caller's.
    pub(crate) fn no_such_binding() -> Self {
        Self::new(&NO_SUCH_BINDING, "you have no such binding, or it is not at this step")
    }

    /// One answer for a question or claim that is absent or does not concern the caller.
    pub(crate) fn no_such_inquiry() -> Self {
        Self::new(&NO_SUCH_INQUIRY, "there is no such inquiry that concerns you")
    }

    /// One answer for a hold that is absent, or none.
    pub(crate) fn no_such_hold() -> Self {
        Self::new(&NO_SUCH_HOLD, "there is no hold of this id")
    }

    /// One answer for every trail that is not the caller's own, whether there is one or not.
    pub(crate) fn no_such_trail() -> Self {
        Self::new(&NO_SUCH_TRAIL, "there is no trail of this id that is yours")
    }

    /// One answer for every offer that is absent or not this caller's to change.
    pub(crate) fn no_such_offer() -> Self {
        Self::new(&NO_SUCH_OFFER, "there is no such offer")
    }

    /// One answer for every call that is absent or not to be seen yet.
    pub(crate) fn no_such_call() -> Self {
        Self::new(&NO_SUCH_CALL, "there is no such call")
    }

    /// One answer for every sale that is absent or not this caller's.
    pub(crate) fn no_such_sale() -> Self {
        Self::new(&NO_SUCH_SALE, "there is no such sale of yours")
    }

    /// One answer for every record that is absent or not for this caller.
    pub(crate) fn no_such_record() -> Self {
        Self::new(&NO_SUCH_RECORD, "there is no such record that you may see")
    }

    /// One answer for every request that is absent or not for this caller.
    pub(crate) fn no_such_request() -> Self {
        Self::new(&NO_SUCH_REQUEST, "there is no such request that you may see")
    }

    /// Nobody is signed in, or not any more.
    pub(crate) fn signed_out() -> Self {
        Self::new(&SIGNED_OUT, "nobody is signed in here, or not any more")
    }

    /// One answer for an entry that is absent, erased, or not this caller's: they must not differ
    /// in a byte.
    pub(crate) fn no_such_entry() -> Self {
        Self::new(&NO_SUCH_ENTRY, "there is no entry of this index that you have shown to know")
    }
}

/// What is the same in every case of a kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Words {
    r#type: String,
    title: &'static str,
    status: u16,
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
}

impl From<&Kind> for Words {
    fn from(kind: &Kind) -> Self {
        Self {
            r#type: format!("/problems/{}", kind.slug),
            title: kind.title,
            status: kind.status.as_u16(),
            advice: kind.advice,
            retry_after_s: kind.retry_after_s,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            #[serde(flatten)]
            words: Words,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            index: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            subject: Option<B256>,
            #[serde(skip_serializing_if = "Option::is_none")]
            current: Option<B256>,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<Why>,
            #[serde(skip_serializing_if = "Option::is_none")]
            document: Option<B256>,
        }
        let words = Words { retry_after_s: self.retry_after_s(), ..self.kind.into() };
        let (detail, field) = (&*self.detail, self.field.as_deref());
        let more = self.more.as_ref();
        let index = more.and_then(|more| more.index);
        let subject = more.and_then(|more| more.subject);
        let current = more.and_then(|more| more.current);
        let reason = more.and_then(|more| more.reason);
        let document = more.and_then(|more| more.document);
        let wire = Wire { words, detail, field, index, subject, current, reason, document };
        wire.serialize(serializer)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.slug, self.detail)
    }
}

impl Problem {
    /// Headers of the refusal, whatever its body is written in.
    pub(crate) fn dress(&self, response: &mut HttpResponseBuilder) {
        if let Some(seconds) = self.retry_after_s() {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allowed) = self.more.as_ref().and_then(|more| more.allowed.as_deref()) {
            response.insert_header((ALLOW, allowed));
        }
        // RFC 9110 section 15.5.2. Browsers ask nobody for a password because of it.
        if self.kind.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"medtrail\""));
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.kind.status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        self.dress(&mut response);
        response.body(serde_json::to_vec(self).expect("a problem is JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_kind_has_a_type_of_its_own_and_says_what_to_do() {
        let slugs: HashSet<_> = KINDS.iter().map(|kind| kind.slug).collect();
        assert_eq!(slugs.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.status.as_u16() >= 400, "{}", kind.slug);
            assert!(kind.advice.ends_with('.') && !kind.advice.contains("  "), "{}", kind.slug);
            let is_unavailable = kind.status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(!is_unavailable || kind.retry_after_s.is_some(), "{}", kind.slug);
        }
    }

    #[test]
    fn a_problem_quotes_no_more_of_a_caller_than_its_limit() {
        let problem = Problem::new(&MALFORMED_JSON, "ü".repeat(1_000_000)).at("é".repeat(5_000));
        assert_eq!(problem.detail.chars().count(), DETAIL_CHARS_MAX + 1);
        assert_eq!(problem.field.unwrap().chars().count(), DETAIL_CHARS_MAX);
    }
}

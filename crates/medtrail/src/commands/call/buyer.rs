//! Somebody who calls for data, from the call to the opened files.

use super::Wanted;
use super::folder::{CONSENTS, CallFolder, DATA, REPORT};
use super::next::{Next, Waiting, next};
use super::{proofs, words};
use crate::calling::bare_cohort;
use crate::commands::PassphraseArgs;
use crate::commands::buy::fetch;
use crate::commands::delivery::call::{Given, check};
use crate::commands::delivery::input::read_identity;
use crate::commands::market::looks::{self, Stuck, Waits};
use crate::commands::market::{Place, windows_of};
use crate::commands::signing::{Signed, salt};
use crate::exit::{Failure, OK, Outcome, exit_code};
use crate::render;
use alloy_primitives::B256;
use medtrail_chain::At;
use medtrail_chain::cohort::{CohortCall, Status};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, Terms};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// A buyer, the market of calls, and the folder of this call.
pub(crate) struct Caller {
    pub(crate) folder: CallFolder,
    pub(crate) identity: Option<PathBuf>,
    pub(crate) passphrase: PassphraseArgs,
    pub(crate) trust: PathBuf,
    pub(crate) rpc: String,
    pub(crate) signed: Signed,
    pub(crate) place: Place,
    pub(crate) market: CohortMarket,
}

impl Caller {
    /// Makes the call and keeps it, before anything is paid; none: it was only shown.
    pub(crate) async fn call(
        &self,
        wanted: &Wanted,
        show: bool,
    ) -> Result<Option<Cohort>, Failure> {
        let missing = || Failure::new("the call is not whole");
        let dataset = wanted.dataset.as_ref().ok_or_else(missing)?;
        let call = Cohort {
            buyer: self.signed.session.address(),
            log: self.signed.trust.log,
            token: wanted.token.unwrap_or_default(),
            price: wanted.price.ok_or_else(missing)?,
            places: wanted.places.ok_or_else(missing)?,
            recipient: wanted.recipient.ok_or_else(missing)?,
            deliverBy: wanted.deliver_by_s.ok_or_else(missing)?,
            grace: wanted.grace_s,
            terms: Terms {
                statement: String::new(),
                purpose: wanted.purpose.clone().ok_or_else(missing)?,
                dataset: dataset.id(),
                salt: salt()?,
            },
            salt: salt()?,
        };
        let unknown =
            || Failure::new("--purpose is no code of v3-PurposeOfUse: HRESCH is research");
        let call = cohort::worded(call, dataset, wanted.language).ok_or_else(unknown)?;
        cohort::check(&call, dataset)?;
        self.require_windows(&call).await?;
        self.signed.say(&words::call(&call, self.market.cohort_market));
        if show {
            self.shown(&call);
            return Ok(None);
        }
        self.folder.begin(&call, dataset)?;
        let (id, path) = (call.id(&self.market), self.folder.call_file());
        self.signed.say(&format!("Call {id} is in {}.", path.display()));
        Ok(Some(call))
    }

    /// Says that it was only shown.
    pub(crate) fn shown(&self, call: &Cohort) {
        let words = "\nNothing was paid: leave out --show.";
        self.tell(call.id(&self.market), "shown", words, json!({ "document": call }));
    }

    /// Refuses to pay for what the service would not deliver.
    async fn require_windows(&self, call: &Cohort) -> Result<(), Failure> {
        let windows = windows_of(&self.signed).await?;
        let least_s = self.place.now_s().await?.saturating_add(windows.delivery_s_min);
        match call.deliverBy >= least_s && call.grace >= windows.grace_s_min {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "the call leaves too little time: this service does not deliver with less than {}s \
                 to deliverBy and {}s of grace; give a later --deliver-by and a longer --grace (a kept \
                 call does not change: name another folder with --into)",
                windows.delivery_s_min, windows.grace_s_min
            ))),
        }
    }

    /// The call of an earlier run, if it is what was asked for now, as far as that was said.
    pub(crate) fn resumed(
        &self,
        call: Cohort,
        dataset: &Dataset,
        wanted: &Wanted,
    ) -> Result<Cohort, Failure> {
        let path = self.folder.call_file();
        let path = path.display();
        cohort::check(&call, dataset)
            .map_err(|error| Failure::new(format!("{path}: {error}: it was changed")))?;
        if let Some(what) = differs(&call, wanted, self.signed.session.address()) {
            return Err(Failure::new(format!(
                "{path} is of {what}: name another folder with --into, or the same as before"
            )));
        }
        self.signed.say(&format!("Going on with call {} of {path}.", call.id(&self.market)));
        Ok(call)
    }

    /// Takes every step that can be taken; with `wait` stays for those that cannot yet.
    pub(crate) async fn follow(&mut self, call: &Cohort, wait: bool) -> Outcome {
        looks::follow(Following(self, call), wait).await
    }

    /// One look, and what it asks for; a code: it has ended.
    async fn step(
        &self,
        call: &Cohort,
        said: &mut Option<Waiting>,
        wait: bool,
    ) -> Result<Option<ExitCode>, Stuck> {
        let id = call.id(&self.market);
        let (seen, view) = self.look(call).await?;
        match next(&seen) {
            Next::Pay => self.pay(call).await.map_err(Stuck::for_good)?,
            Next::Tell => {
                let (_, dataset) = self.kept()?;
                let body = json!({ "cohort": call, "dataset": dataset });
                self.signed.session.post("/v1/calls", &body).await?;
                if !wait {
                    return Ok(Some(self.end(id, "told", "The service knows of it.")));
                }
            }
            Next::Download => {
                if let Some(words) = view.as_ref().and_then(words::deleted) {
                    self.signed.say(&words);
                }
                let told = view.and_then(|view| view.delivery);
                let whole = told
                    .and_then(|told| Some(fetch::Whole { bytes: told.bytes?, file: told.file? }));
                let whole = whole.ok_or_else(|| Failure::new("the service names no delivery"))?;
                self.signed.say(&format!("Downloading {} bytes …", whole.bytes));
                let from = format!("/v1/calls/{id}/delivery");
                let session = &self.signed.session;
                fetch::delivery(session, &from, self.folder.kept(), whole).await?;
            }
            Next::Prove => {
                let bytes = proofs::fetch(&self.signed.session, id).await?;
                self.folder.kept().replace(super::folder::PROOFS, &bytes)?;
            }
            Next::Open => return self.open(call).await.map(Some).map_err(Stuck::for_good),
            Next::Close => {
                self.close(call).await.map_err(Stuck::for_good)?;
            }
            Next::Wait(waiting) => {
                if said.replace(waiting) != Some(waiting) {
                    self.signed.say(words::waiting(waiting));
                }
                if !wait {
                    let words = "Run the same command again later, or with --wait.";
                    return Ok(Some(self.end(id, "waiting", words)));
                }
                return Ok(None);
            }
            Next::Done { has_rest } => {
                let place = self.folder.kept().path(DATA);
                let mut words = format!("All is done: the files are in {}.", place.display());
                if has_rest {
                    words = format!("{words} {}", words::rest(call, seen.paid));
                }
                return Ok(Some(self.end(id, "done", &words)));
            }
            Next::Ended(ending) => {
                let words = words::ending(&ending, call, &self.folder.call_file());
                return Err(Stuck::for_good(Failure::new(words)));
            }
        }
        Ok(None)
    }

    /// The last that is said of this run: one document, or words.
    fn tell(&self, id: B256, state: &str, words: &str, more: Value) {
        let told = json!({ "call": id, "state": state, "folder": self.folder.folder() });
        looks::end(&self.signed, told, more, words);
    }

    fn end(&self, id: B256, state: &str, words: &str) -> ExitCode {
        self.tell(id, state, words, json!({}));
        ExitCode::from(OK)
    }

    /// The call as it was kept, with its description as text.
    fn kept(&self) -> Result<(Cohort, String), Failure> {
        let kept = self.folder.call()?;
        let (call, dataset) = kept.ok_or_else(|| Failure::new("the call's file is gone"))?;
        Ok((call, String::from_utf8(dataset.bytes())?))
    }

    /// Opens it, with the money of all places.
    async fn pay(&self, call: &Cohort) -> Result<(), Failure> {
        self.require_windows(call).await?;
        let (key, place, market) =
            (self.signed.session.key(), &self.place, self.market.cohort_market);
        let whole = words::whole(call);
        let value = place.ready(&self.signed, call.token, whole, market).await?;
        let data = CohortCall::Open(bare_cohort(call)).calldata();
        place.transact(key, market, data, value).await?;
        self.signed.say("Opened. The money waits in the market contract.");
        Ok(())
    }

    /// Takes back what nobody was paid for.
    async fn close(&self, call: &Cohort) -> Result<(), Failure> {
        self.signed.say("The time is over: taking back what nobody was paid for …");
        let data = CohortCall::Close(bare_cohort(call)).calldata();
        let (key, market) = (self.signed.session.key(), self.market.cohort_market);
        self.place.transact(key, market, data, Default::default()).await?;
        self.signed.say(
            "Closed: the rest went back to you, or is credited (medtrail calls withdraw-money).",
        );
        Ok(())
    }

    /// Every check of `delivery check-call`; then the files, if there is a key to open them, with what
    /// each seller signed beside them.
    async fn open(&self, call: &Cohort) -> Outcome {
        let (id, kept) = (call.id(&self.market), self.folder.kept());
        let trust = crate::commands::verify::read_trust(&self.trust)?;
        let buyers = match &self.identity {
            Some(path) => read_identity(path, &self.passphrase)?,
            None => Vec::new(),
        };
        let rpc = medtrail_chain::Rpc::new(&[&self.rpc])?;
        let given = Given::read(self.folder.folder(), rpc, Some(trust), buyers).await?;
        let checked = check(&given).await?;
        let findings = &checked.findings;
        if !self.signed.json {
            render::findings(&self.folder.folder().display().to_string(), findings);
        }
        // Before the data: whoever finds those finds these beside them.
        kept.replace(REPORT, format!("{:#}\n", checked.report(&given)).as_bytes())?;
        if let Some(consents) = checked.consents(&given) {
            kept.replace(CONSENTS, format!("{consents:#}\n").as_bytes())?;
        }
        let out = kept.path(DATA);
        let opened = self.identity.as_ref().map(|_| checked.open_into(&given, &out));
        let code = exit_code(findings.verdict());
        let (state, words, outcome) = match opened {
            Some(Ok(files)) => {
                let mut words = format!(
                    "manifest.json and its files ({files}) are in {}; what each person signed is in \
                     {CONSENTS}, what was found in {REPORT}.",
                    out.display()
                );
                let market = self.market.cohort_market;
                let standing = self.place.chain.cohort_standing(market, id, At::Latest).await?;
                if standing.status == Status::Open && standing.paid < call.places {
                    words = format!("{words}\n{}", words::rest(call, standing.paid));
                }
                ("opened", words, Ok(code))
            }
            Some(Err(failure)) => ("not-opened", String::new(), Err(failure)),
            None => ("settled", words::settled().to_owned(), Ok(code)),
        };
        if self.signed.json || outcome.is_ok() {
            self.tell(id, state, &words, json!({ "report": checked.report(&given) }));
        }
        outcome
    }
}

/// Whoever called, and waits for this call.
struct Following<'a>(&'a mut Caller, &'a Cohort);

impl Waits for Following<'_> {
    type Waiting = Waiting;

    fn signed(&mut self) -> &mut Signed {
        &mut self.0.signed
    }

    async fn step(
        &self,
        said: &mut Option<Waiting>,
        stays: bool,
    ) -> Result<Option<ExitCode>, Stuck> {
        self.0.step(self.1, said, stays).await
    }
}

/// In what an earlier call is another than is asked for now.
fn differs(
    call: &Cohort,
    wanted: &Wanted,
    buyer: alloy_primitives::Address,
) -> Option<&'static str> {
    let is_other = |what, is_other: bool| is_other.then_some(what);
    let terms = &call.terms;
    is_other("another buyer", call.buyer != buyer)
        .or(is_other(
            "another recipient",
            wanted.recipient.is_some_and(|key| key != call.recipient),
        ))
        .or(is_other(
            "other data",
            wanted.dataset.as_ref().is_some_and(|it| it.id() != terms.dataset),
        ))
        .or(is_other(
            "another purpose",
            wanted.purpose.as_ref().is_some_and(|it| *it != terms.purpose),
        ))
        .or(is_other("another token", wanted.token.is_some_and(|token| token != call.token)))
        .or(is_other("another price", wanted.price.is_some_and(|price| price != call.price)))
        .or(is_other("another number of places", wanted.places.is_some_and(|n| n != call.places)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};
    use medtrail_permit::statements::Language;

    #[test]
    fn an_earlier_call_is_gone_on_with_only_where_it_is_what_is_asked_for_now() {
        let buyer = Address::repeat_byte(4);
        let call = Cohort {
            buyer,
            price: U256::from(5),
            places: 9,
            recipient: B256::repeat_byte(7),
            terms: Terms { purpose: "HRESCH".into(), ..Terms::default() },
            ..Cohort::default()
        };
        let nothing = Wanted {
            dataset: None,
            purpose: None,
            price: None,
            token: None,
            places: None,
            deliver_by_s: Some(1),
            grace_s: 1,
            recipient: None,
            language: Language::En,
        };
        let same = Wanted {
            price: Some(call.price),
            places: Some(9),
            purpose: Some("HRESCH".into()),
            recipient: Some(call.recipient),
            ..nothing.clone()
        };
        assert_eq!(differs(&call, &nothing, buyer), None);
        assert_eq!(differs(&call, &same, buyer), None);
        assert_eq!(differs(&call, &same, Address::ZERO), Some("another buyer"));
        for other in [
            Wanted { price: Some(U256::from(6)), ..same.clone() },
            Wanted { places: Some(8), ..same.clone() },
            Wanted { purpose: Some("TREAT".into()), ..same.clone() },
            Wanted { recipient: Some(B256::ZERO), ..same.clone() },
            Wanted { token: Some(buyer), ..same },
        ] {
            assert!(differs(&call, &other, buyer).is_some(), "{other:?}");
        }
    }
}

//! Somebody who buys, from the look at the offer to the opened files.

use super::next::{Next, Seen, Served, Waiting, next};
use super::purchase::Purchase;
use super::{fetch, judge, words};
use crate::commands::PassphraseArgs;
use crate::commands::market::looks::{self, Stuck, Waits};
use crate::commands::market::views::{OfferView, SaleView, read};
use crate::commands::market::{Place, windows_of};
use crate::commands::signing::{Signed, salt};
use crate::commands::{decrypt, delivery};
use crate::exit::{Failure, OK, Outcome, exit_code};
use crate::render;
use crate::trade::{bare_offer, bare_order};
use alloy_primitives::B256;
use medtrail_chain::At;
use medtrail_chain::market::{MarketCall, Status};
use medtrail_chain::own;
use medtrail_ledger::proof::Proof;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Order;
use medtrail_permit::sale::check;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a buyer asks for beside the offer.
pub(crate) struct Wanted {
    pub(crate) recipient: B256,
    pub(crate) deliver_within: u64,
    pub(crate) grace: u64,
}

/// A buyer, their market, and the folder of this purchase.
pub(crate) struct Buyer {
    pub(crate) purchase: Purchase,
    pub(crate) identity: Option<PathBuf>,
    pub(crate) passphrase: PassphraseArgs,
    pub(crate) trust: PathBuf,
    pub(crate) rpc: String,
    pub(crate) offer: B256,
    pub(crate) signed: Signed,
    pub(crate) place: Place,
}

impl Buyer {
    /// The offer as the service shows it, held against its signature and the chain.
    async fn judged(&self) -> Result<(OfferView, Dataset), Failure> {
        let answer = self.signed.session.get(&format!("/v1/offers/{}", self.offer)).await?;
        let view: OfferView = read(answer)?;
        let place = &self.place;
        let control = place.control(view.offer.seller).await?;
        let (bare, id) = (bare_offer(&view.offer), view.offer.id(&place.market));
        let market = place.market.data_market;
        let (controller, signature) = (control.controller, &view.signature);
        let wallet = place.chain.accepts_signature(controller, id, signature, At::Latest);
        let seen = judge::OnChain {
            is_accepted: wallet.await?,
            is_open: place.chain.offer_is_open(market, &bare, At::Latest).await?,
            now_s: place.now_s().await?,
            control,
        };
        let (log, own) = (self.signed.trust.log, self.signed.session.address());
        let dataset = judge::judge(&view, self.offer, &place.market, log, &seen, own)?;
        Ok((view, dataset))
    }

    /// Makes the order and keeps it, before anything is paid; none: it was only shown.
    pub(crate) async fn order(
        &self,
        wanted: &Wanted,
        show: bool,
    ) -> Result<Option<Order>, Failure> {
        let (view, dataset) = self.judged().await?;
        let order = Order {
            offer: view.offer.clone(),
            buyer: self.signed.session.address(),
            recipient: wanted.recipient,
            deliverBy: self.place.now_s().await?.saturating_add(wanted.deliver_within),
            grace: wanted.grace,
            salt: salt()?,
        };
        check::order(&order, &dataset)?;
        self.require_windows(&order).await?;
        self.signed.say(&words::order(&order, self.place.market.data_market));
        let id = order.id(&self.place.market);
        if show {
            let words = "\nNothing was paid: leave out --show.";
            self.tell(id, "shown", words, json!({ "document": order }));
            return Ok(None);
        }
        self.purchase.begin(&order, &view.dataset, &serde_json::to_value(&view)?)?;
        self.signed.say(&format!("Order {id} is in {}.", self.purchase.order_file().display()));
        Ok(Some(order))
    }

    /// Refuses to pay for what the service would not deliver.
    async fn require_windows(&self, order: &Order) -> Result<(), Failure> {
        let windows = windows_of(&self.signed).await?;
        match windows.leave(order, self.place.now_s().await?) {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "the order leaves too little time: this service does not deliver with less than {}s \
                 to deliverBy and {}s of grace; give longer --deliver-within and --grace (a kept \
                 order does not change: name another folder with --into)",
                windows.delivery_s_min, windows.grace_s_min
            ))),
        }
    }

    /// The order of an earlier run, if it is of this offer, this buyer and this key.
    pub(super) fn resumed(&self, order: Order, recipient: B256) -> Result<Order, Failure> {
        let path = self.purchase.order_file();
        let path = path.display();
        let differs = |what: &str| {
            Err(Failure::new(format!(
                "{path} is of {what}: name another folder with --into, or the same as before"
            )))
        };
        if order.offer.id(&self.place.market) != self.offer {
            return differs("another offer");
        }
        if order.buyer != self.signed.session.address() {
            return differs("another buyer");
        }
        if order.recipient != recipient {
            return differs("another recipient");
        }
        let id = order.id(&self.place.market);
        self.signed.say(&format!("Going on with order {id} of {path}."));
        Ok(order)
    }

    /// Takes every step that can be taken; with `wait` stays for those that cannot yet.
    pub(crate) async fn follow(&mut self, order: &Order, wait: bool) -> Outcome {
        looks::follow(Following(self, order), wait).await
    }

    /// One look, and what it asks for; a code: it has ended.
    async fn step(
        &self,
        order: &Order,
        said: &mut Option<Waiting>,
        wait: bool,
    ) -> Result<Option<ExitCode>, Stuck> {
        let id = order.id(&self.place.market);
        let (seen, sale) = self.look(order).await?;
        match next(&seen) {
            Next::Pay => self.pay(order).await.map_err(Stuck::for_good)?,
            Next::Tell => {
                self.signed.session.post("/v1/sales", &json!({ "order": order })).await?;
                if !wait {
                    return Ok(Some(self.end(id, "told", "The service knows of it.")));
                }
            }
            Next::Download => {
                let told = sale.and_then(|sale| sale.delivery);
                let told = told.ok_or_else(|| Failure::new("the service names no delivery"))?;
                self.signed.say(&format!("Downloading {} bytes …", told.bytes));
                let whole = fetch::Whole { bytes: told.bytes, file: told.file };
                let from = format!("/v1/sales/{id}/delivery");
                fetch::delivery(&self.signed.session, &from, &self.purchase, whole).await?;
            }
            Next::Prove => {
                let path = format!("/v1/sales/{id}/proof");
                let answer = self.signed.session.open_stream(&path).await?;
                let bytes = answer.bytes().await.map_err(Failure::from)?;
                // What cannot be read is asked for again, and not kept.
                Proof::parse(&bytes).map_err(Failure::from)?;
                self.purchase.replace("proof.json", &bytes)?;
            }
            Next::Open => return self.open(id).await.map(Some).map_err(Stuck::for_good),
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
            Next::Done => {
                let place = self.purchase.path("data");
                let words = format!("All is done: the files are in {}.", place.display());
                return Ok(Some(self.end(id, "done", &words)));
            }
            Next::Ended(ending) => {
                let words = words::ending(&ending, order, &self.purchase);
                return Err(Stuck::for_good(Failure::new(words)));
            }
        }
        Ok(None)
    }

    /// The last that is said of this run: one document, or words.
    fn tell(&self, order: B256, state: &str, words: &str, more: Value) {
        let told = json!({ "order": order, "state": state, "folder": self.purchase.folder() });
        looks::end(&self.signed, told, more, words);
    }

    fn end(&self, order: B256, state: &str, words: &str) -> ExitCode {
        self.tell(order, state, words, json!({}));
        ExitCode::from(OK)
    }

    async fn look(&self, order: &Order) -> Result<(Seen, Option<SaleView>), Failure> {
        let (place, id) = (&self.place, order.id(&self.place.market));
        let market = place.market.data_market;
        let status = place.chain.order_standing(market, id, At::Latest).await?.status;
        let is_settled_final = match status {
            Status::Settled => {
                let held = place.chain.order_standing(market, id, At::Finalized).await?;
                held.status == Status::Settled
            }
            _ => false,
        };
        let has_pending = match status {
            Status::Unknown => own::turn(&place.rpc, order.buyer).await?.is_taken(),
            _ => false,
        };
        let asks = matches!(status, Status::Paid | Status::Settled);
        let sale = match asks {
            true => self.signed.session.find(&format!("/v1/sales/{id}")).await?,
            false => None,
        };
        let sale = sale.map(read::<SaleView>).transpose()?;
        if let Some(sale) = &sale {
            sale.described(&place.market, id)?;
        }
        let seen = Seen {
            status,
            is_settled_final,
            has_pending,
            now_s: place.now_s().await?,
            expires_at_s: order.offer.expiresAt,
            deliver_by_s: order.deliverBy,
            settled_by_s: order.settled_by().unwrap_or(u64::MAX),
            served: sale.as_ref().map(|sale| Served {
                state: sale.state.clone(),
                refusal: sale.refusal.clone(),
                has_file: sale.delivery.is_some()
                    && matches!(sale.state.as_str(), "delivered" | "settling" | "settled"),
                has_proof: sale.delivery.is_some_and(|delivery| delivery.is_anchored),
            }),
            held: self.purchase.held(),
        };
        Ok((seen, sale))
    }

    /// Pays. The offer is judged once more: time has passed since the order was written.
    async fn pay(&self, order: &Order) -> Result<(), Failure> {
        let (view, _) = self.judged().await?;
        self.require_windows(order).await?;
        let key = self.signed.session.key();
        let (offer, place) = (&order.offer, &self.place);
        let market = place.market.data_market;
        let value = place.ready(&self.signed, offer.token, offer.price, market).await?;
        let call =
            MarketCall::Buy { order: bare_order(order), offer_signature: view.signature.clone() };
        place.act(key, &call, value).await?;
        self.signed.say("Paid. The money waits in the market contract.");
        Ok(())
    }

    /// Every check of `delivery check`; then the files, if there is a key to open them.
    async fn open(&self, id: B256) -> Outcome {
        let inputs = delivery::Inputs::of_purchase(
            self.purchase.folder(),
            self.rpc.clone(),
            self.trust.clone(),
            self.passphrase.clone(),
        );
        let (given, rpc) = delivery::input::Given::read(&inputs, self.identity.as_deref()).await?;
        let checked = delivery::check(&given, rpc.as_ref()).await?;
        let findings = &checked.findings;
        if !self.signed.json {
            render::findings(&given.path.display().to_string(), findings);
        }
        let out = self.purchase.path("data");
        let opened = self.identity.as_ref().map(|_| decrypt::into_folder(&given, &checked, &out));
        let code = exit_code(findings.verdict());
        let (state, words, outcome) = match opened {
            Some(Ok(files)) => ("opened", decrypt::words(files, &out), Ok(code)),
            Some(Err(failure)) => ("not-opened", String::new(), Err(failure)),
            None => ("settled", words::settled().to_owned(), Ok(code)),
        };
        if self.signed.json || outcome.is_ok() {
            let found = json!({ "verdict": findings.verdict(), "steps": findings.steps });
            self.tell(id, state, &words, found);
        }
        outcome
    }
}

/// Whoever bought, and waits for this order.
struct Following<'a>(&'a mut Buyer, &'a Order);

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

//! The process dies at any moment: what was acknowledged is there, and nothing stands twice.

pub(crate) mod disk_full;

use crate::site::{Custodian, Node, PATIENCE, Settings, Site, must, ticking_chain};
use journeys::medtrail::Running;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::trust::TrustFile;
use reqwest::{Client, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the process is killed under load.
const KILLS: u64 = 20;
/// Clients that report at the same time.
const CLIENTS: u64 = 6;
/// Receipts that the clients have before the load counts as on.
const LOAD: usize = 15;
/// People whom the reports are about: fewer than clients, so that every trail is contended.
const PEOPLE: u64 = 4;

/// xorshift64*: the same seed, the same moments.
struct Chance(u64);

impl Chance {
    /// From `MEDTRAIL_SEED` or the clock; printed, to play a failure again.
    fn from_environment() -> Self {
        let named = std::env::var("MEDTRAIL_SEED").ok().map(|seed| seed.parse().unwrap());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = named.unwrap_or_else(clock).max(1);
        println!("MEDTRAIL_SEED={seed}");
        Self(seed)
    }

    fn below_ms(&mut self, limit_ms: u64) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        Duration::from_millis(drawn % limit_ms)
    }
}

/// What the clients have: every report they ever sent, and the receipts they got.
#[derive(Clone, Default)]
struct Book {
    sent: BTreeMap<String, String>,
    acknowledged: BTreeMap<String, Receipt>,
}

/// Reports until nobody answers any more. What is acknowledged is in the book before the next
/// report leaves.
async fn report_until_death(
    url: String,
    trust: TrustFile,
    client: String,
    book: Arc<Mutex<Book>>,
) -> usize {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    let fjord = Custodian::fjord();
    for number in 0.. {
        let event = format!("{client}, event {number}");
        let body = fjord.saw(&trust, number % PEOPLE, &event);
        book.lock().unwrap().sent.insert(event.clone(), body.clone());
        let post =
            http.post(format!("{url}/v1/reports")).header("content-type", "application/json");
        let Ok(answer) = post.body(body).send().await else { return number as usize };
        assert_eq!(answer.status(), StatusCode::CREATED);
        let Ok(receipt) = answer.json().await else { return number as usize };
        book.lock().unwrap().acknowledged.insert(event, receipt);
    }
    unreachable!("there are always more events")
}

/// Waits until the clients have more receipts than so many.
async fn acknowledged_beyond(book: &Mutex<Book>, many: usize) {
    let end = Instant::now() + PATIENCE;
    while book.lock().unwrap().acknowledged.len() <= many {
        assert!(Instant::now() < end, "no more than {many} reports were acknowledged");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Reports everything that was acknowledged once more: each stands where its receipt says.
async fn all_stand_where_they_stood(node: &Node, book: &Book) {
    let (events, receipts): (Vec<_>, Vec<_>) = book.acknowledged.iter().unzip();
    let bodies: Vec<_> = events.iter().map(|event| book.sent[*event].clone()).collect();
    for (receipt, again) in receipts.into_iter().zip(node.report_all(&bodies).await) {
        let place = |receipt: &Receipt| (receipt.index, receipt.report_hash, receipt.place_hash);
        assert_eq!(place(&again), place(receipt));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_entry_is_lost_by_kill_9_under_load() {
    let mut chance = Chance::from_environment();
    let anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    let book = Arc::new(Mutex::new(Book::default()));
    let trust = {
        let node = site.serve();
        let trust = node.trust().await;
        node.stop();
        trust
    };
    for round in 0..KILLS {
        if round % 4 == 3 {
            // Death while it opens what the last death left.
            let mut starting = Running::start_command(site.command(["serve"]));
            tokio::time::sleep(chance.below_ms(200)).await;
            starting.kill_9();
        }
        let node = site.serve();
        let told = book.lock().unwrap().clone();
        all_stand_where_they_stood(&node, &told).await;
        let before = told.acknowledged.len();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let client = format!("round {round}, client {client}");
                let (url, trust, book) = (node.url.clone(), trust.clone(), book.clone());
                tokio::spawn(report_until_death(url, trust, client, book))
            })
            .collect();
        // Every fourth dies at any moment, the others once the load is on: before the filer's first
        // turn, in it and after it.
        if round % 4 > 0 {
            acknowledged_beyond(&book, before + LOAD).await;
        }
        tokio::time::sleep(chance.below_ms(400)).await;
        node.kill_9();
        for client in clients {
            client.await.unwrap();
        }
    }

    let node = site.serve();
    let book = Arc::into_inner(book).unwrap().into_inner().unwrap();
    let acknowledged = book.acknowledged.len();
    println!("{} reports sent, {acknowledged} acknowledged", book.sent.len());
    assert!(acknowledged as u64 > 10 * KILLS, "hardly a load: {acknowledged}");
    all_stand_where_they_stood(&node, &book).await;
    // Reports whose answer was lost may stand or not; sent again, all do, each once.
    let bodies: Vec<_> = book.sent.values().cloned().collect();
    let receipts = node.report_all(&bodies).await;
    let places: BTreeSet<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    assert_eq!(places, (0..bodies.len() as u64).collect(), "gaps or doubles");
    assert_eq!(node.readyz().await["entries"], bodies.len());

    // The chain has what the disk has.
    node.wait_until_final(bodies.len() as u64).await;
    site.write("trust.json", node.trust_bytes().await);
    let mut files = Vec::new();
    for receipt in receipts.iter().step_by(receipts.len() / 20) {
        let name = format!("proof-{}.json", receipt.index);
        site.write(&name, node.proof(receipt).await);
        files.push(name);
    }
    let url = anvil.url();
    let named = ["--rpc", &url, "--trust", "trust.json"];
    must(site.run(["verify"].into_iter().chain(files.iter().map(String::as_str)).chain(named)));
    node.stop();
    // Every row opened; the trails numbered without a gap.
    let said = site.must_be_clean();
    let opened = format!("{} were opened", bodies.len());
    assert!(said.contains(&opened), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_is_refused_until_the_first_has_died() {
    let site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    let trust = node.trust().await;
    let body = Custodian::fjord().saw(&trust, 1, "the event");
    let receipt = node.report(&body).await;

    for command in [["serve"].as_slice(), &["fsck"], &["reindex"], &["export", "--to", "out"]] {
        let said = site.run(command);
        assert_eq!(said.code, Some(1), "{command:?}: {said:?}");
        let words = "is already open, by another instance";
        assert!(said.err.contains(words), "{command:?}: {said:?}");
        assert!(said.err.contains(site.data_dir().to_str().unwrap()), "{command:?}: {said:?}");
    }
    // The first has not noticed.
    assert_eq!(node.report(&body).await.index, receipt.index);
    node.kill_9();

    let node = site.serve();
    let again = node.report(&body).await;
    assert_eq!((again.index, again.place_hash), (receipt.index, receipt.place_hash));
    node.stop();
    site.must_be_clean();
}

//! Tide Sensors, who made the sensor on Mari's arm. It has 90 days of her readings on a server of
//! its own, of which she keeps a copy here; in the last night of the week that server goes silent,
//! and the log, which asks it, tells her so.

use super::chance::Chance;
use super::mari::{MINUTE_MS, PATIENT};
use super::organisations::TIDE;
use super::vault::put;
use crate::clock::DemoClock;
use crate::commands::signing::Signed;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::B256;
use medtrail_ledger::source::{Registered, Told, Whereabouts};
use medtrail_ledger::vault::{About, UPLOADS, own_record, version_of};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The time between two askings of a source, in seconds.
pub(crate) const EVERY_S: u64 = 30;
/// After so many in vain it is lost.
pub(crate) const LOST_AFTER: u32 = 4;

/// In words that Mari knows.
const TITLE: &str = "90 days of readings";
/// How many readings that is: one every five minutes.
const READINGS: u64 = 90 * 24 * 12;
/// How long the log may take to ask once more, on a machine that may be busy.
const WAIT: Duration = Duration::from_secs(30);

/// Its server. It answers until it is dropped.
pub(crate) struct Tide {
    serving: JoinHandle<()>,
    url: String,
    content: Arc<Vec<u8>>,
}

impl Tide {
    /// Starts its server, with the readings of the 90 days before `until_ms`.
    pub(crate) async fn open(until_ms: u64) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/readings/mari-tamm", listener.local_addr()?);
        let content = Arc::new(readings(until_ms));
        let serving = tokio::spawn(serve(listener, content.clone()));
        Ok(Self { serving, url, content })
    }

    /// Mari puts a copy in her vault, and tells where it came from: both signed by her wallet.
    pub(crate) async fn keep(&self, mari: &Signed) -> Result<(), Failure> {
        let subject = mari.session.address().into_word();
        let record = own_record(subject, UPLOADS, "readings.json");
        let about = About {
            title: TITLE.to_owned(),
            media_type: "application/fhir+json".to_owned(),
            resource_type: Some("Observation".to_owned()),
            ..About::default()
        };
        put(mari, subject, record, B256::ZERO, &about, &self.content, None).await?;
        let at = Whereabouts::Url(self.url.clone());
        let told = json!(Told::Registered(Registered::new(TITLE.into(), TIDE.name.into(), at)));
        let mut report = mari.report(7, &told)?;
        (report.subject, report.record) = (subject, record);
        report.toVersion = version_of(&self.content);
        mari.session.post("/v1/sources", &mari.plain_body(&report, &told)).await.map(drop)
    }

    /// The server goes silent before the clock shows [`silent_from`], so that the log has asked as
    /// often in vain as it must when the clock shows `lost_ms`.
    pub(crate) async fn fall_silent(
        &self,
        mari: &Session,
        lost_ms: u64,
        clock: &DemoClock,
    ) -> Result<(), Failure> {
        self.serving.abort();
        let mut at_ms = silent_from(lost_ms);
        // One asking may still have been answered: then it is lost one asking later.
        for _ in 0..2 * LOST_AFTER {
            clock.forward_to(at_ms);
            if self.asked_since(mari, at_ms).await? == "lost" {
                return Ok(());
            }
            at_ms += EVERY_S * 1000;
        }
        Err(Failure::new("the log does not find that Tide Sensors answers no more"))
    }

    /// Waits until the log has asked at this time or later, and it is entered what it found; returns
    /// how the source stands.
    async fn asked_since(&self, mari: &Session, at_ms: u64) -> Result<String, Failure> {
        let until = Instant::now() + WAIT;
        loop {
            let told = mari.get("/v1/sources").await?;
            let source = &told["sources"][0];
            let state = text(source, "state")?;
            match source["probedMs"].as_u64() {
                Some(asked) if asked >= at_ms => return Ok(state.to_owned()),
                _ if Instant::now() > until => {
                    return Err(Failure::new(format!("the log does not ask Tide Sensors: {told}")));
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// When the log asks in vain for the first time.
pub(crate) fn silent_from(lost_ms: u64) -> u64 {
    lost_ms - u64::from(LOST_AFTER - 1) * EVERY_S * 1000
}

impl Drop for Tide {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers whatever it is asked with the readings, one after the other.
async fn serve(listener: TcpListener, content: Arc<Vec<u8>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let answering = answer(&mut stream, &content);
        // Who asks half a question is left standing.
        let _ = tokio::time::timeout(Duration::from_secs(5), answering).await;
    }
}

async fn answer(stream: &mut TcpStream, content: &[u8]) -> std::io::Result<()> {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") && asked.len() < 16_384 {
        if stream.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(content).await?;
    stream.shutdown().await
}

/// Glucose of 90 days, the same every time: a FHIR R4 Observation with sampled data.
fn readings(until_ms: u64) -> Vec<u8> {
    let mut chance = Chance::new(90);
    let period_ms = 5 * MINUTE_MS;
    let mut tenths = 70_i64;
    let values: Vec<String> = (0..READINGS)
        .map(|number| {
            // It falls slowly, and rises after each of three meals.
            let minute = number * 5 % (24 * 60);
            let meal = [8 * 60, 13 * 60, 18 * 60 + 30]
                .iter()
                .any(|meal| (*meal..meal + 45).contains(&minute));
            tenths += if meal { 4 } else { -((tenths - 58) / 12) };
            tenths = (tenths + chance.below(5) as i64 - 2).clamp(31, 168);
            format!("{}.{}", tenths / 10, tenths % 10)
        })
        .collect();
    let moment = |ms: u64| {
        let at = OffsetDateTime::from_unix_timestamp((ms / 1000) as i64).ok();
        at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
    };
    let glucose = json!({ "coding": [{
        "system": "http://loinc.org",
        "code": "105272-9",
        "display": "Glucose [Moles/volume] in Interstitial fluid",
    }], "text": "Glucose, every five minutes" });
    let observation = json!({
        "resourceType": "Observation",
        "status": "final",
        "code": glucose,
        "subject": { "reference": PATIENT },
        "effectivePeriod": {
            "start": moment(until_ms - READINGS * period_ms),
            "end": moment(until_ms),
        },
        "device": { "display": "Tide 2, on the arm" },
        "valueSampledData": {
            "origin": {
                "value": 0,
                "unit": "mmol/L",
                "system": "http://unitsofmeasure.org",
                "code": "mmol/L",
            },
            "period": period_ms,
            "dimensions": 1,
            "data": values.join(" "),
        },
    });
    observation.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const UNTIL_MS: u64 = 1_795_000_000_000;

    #[test]
    fn readings_are_of_90_days_the_same_every_time_and_such_as_a_person_has() {
        let bytes = readings(UNTIL_MS);
        assert_eq!(bytes, readings(UNTIL_MS));
        let told: Value = serde_json::from_slice(&bytes).unwrap();
        let data = told["valueSampledData"]["data"].as_str().unwrap();
        let values: Vec<f64> = data.split(' ').map(|value| value.parse().unwrap()).collect();
        assert_eq!(values.len() as u64, READINGS);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((6.0..10.0).contains(&mean), "{mean}");
        let (low, high) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), one| (low.min(*one), high.max(*one)));
        assert!(low >= 3.1 && high <= 16.8 && high - low > 4.0, "{low} to {high}");
    }

    #[tokio::test]
    async fn its_server_gives_the_readings_until_it_goes_silent() {
        let tide = Tide::open(UNTIL_MS).await.ok().unwrap();
        let asked = reqwest::get(&tide.url).await.unwrap();
        assert_eq!(asked.bytes().await.unwrap(), tide.content.as_slice());
        tide.serving.abort();
        let until = Instant::now() + Duration::from_secs(5);
        while reqwest::get(&tide.url).await.is_ok() {
            assert!(Instant::now() < until, "it still answers");
        }
    }
}

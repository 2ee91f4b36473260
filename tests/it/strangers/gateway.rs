//! An organisation's gateway, enrolled as its operator would do it.

use super::{World, json_of};
use crate::site::{PATIENCE, must};
use journeys::medtrail::Running;
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Instant;

/// A running gateway, and its organisation's own session at the log: what it reported can be read
/// there.
pub(super) struct Gateway {
    running: Running,
    url: String,
    http: Client,
    pub(super) session: String,
}

impl Gateway {
    pub(super) async fn start(world: &World, name: &str) -> Self {
        let new = json!({ "name": name, "domain": "strangers.example" });
        let request = world.http.post(world.url("/v1/organisations")).bearer_auth(&world.operator);
        let made = json_of(request.json(&new).send().await.unwrap(), 201).await;
        let invite = made["invite"]["url"].as_str().unwrap();
        let folder = world.site.path(name);
        let folder = folder.to_str().unwrap();
        must(world.site.run(["gateway", "init", invite, "--dir", folder]));
        let run = ["gateway", "run", "--dir", folder, "--listen", "127.0.0.1:0"];
        let mut running = Running::start_command(world.site.command(run));
        let line = running.wait_for(" at http://", PATIENCE);
        let url = line.split(" at ").nth(1).unwrap().split("/fhir").next().unwrap().to_owned();
        let session = world.sign_in(&world.site.path(name).join("gateway.json")).await;
        Self { running, url, http: world.http.clone(), session }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends one event, which is acknowledged once it is durable here.
    pub(super) async fn create(&self, event: &[u8]) {
        let request = self.http.post(self.url("/fhir/AuditEvent"));
        let request = request.header("content-type", super::FHIR).body(event.to_owned());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 201, "{text}");
    }

    /// Waits until nothing is left that the log has not answered for.
    pub(super) async fn wait_until_sent(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.http.get(self.url("/status")).send().await.unwrap();
            let status: Value = json_of(status, 200).await;
            let waits = |member: &str| status["spool"][member].as_u64().unwrap();
            assert_eq!(waits("setAside"), 0, "{status:#}");
            if waits("unsigned") + waits("waiting") == 0 {
                return;
            }
            assert!(Instant::now() < end, "{status:#}\n{}", self.running.said());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub(super) fn stop(mut self) {
        let status = self.running.terminate(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", self.running.said());
    }
}

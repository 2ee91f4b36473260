//! `medtrail`: runs a log, reports to it, and checks what it says.

mod calling;
mod client;
mod clock;
mod commands;
mod config;
mod demo;
mod exit;
mod files;
mod node;
mod notices;
mod outbound;
mod pages;
mod permission;
mod promises;
mod render;
mod selling;
mod session;
mod sources;
mod trade;

use clap::{Parser, Subcommand};
use exit::{FAILED, Outcome};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Reports are allocated on one thread and freed on another, which the system's allocator does one at
/// a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Shows every person who used their medical data, and lets nobody hide, alter or invent a line.
#[derive(Parser)]
#[command(name = "medtrail", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(commands::serve::Args),
    Gateway(commands::gateway::Args),
    Verify(commands::verify::Args),
    Offer(commands::offer::Args),
    Offers(commands::offers::Args),
    Buy(commands::buy::Args),
    Sales(commands::sales::Args),
    Call(commands::call::Args),
    Calls(commands::calls::Args),
    #[command(subcommand)]
    Delivery(commands::delivery::Command),
    Decrypt(commands::decrypt::Args),
    Audit(commands::audit::Args),
    Report(commands::report::Args),
    Proof(commands::proof::Args),
    Ask(commands::questions::AskArgs),
    Questions(commands::questions::QuestionsArgs),
    Correct(commands::questions::CorrectArgs),
    Claims(commands::questions::ClaimsArgs),
    Waiting(commands::waiting::WaitingArgs),
    Emergencies(commands::waiting::EmergenciesArgs),
    Trail(commands::trail::Args),
    Records(commands::records::Args),
    Sources(commands::sources::Args),
    Approvals(commands::approvals::Args),
    Grant(commands::permit::GrantArgs),
    Revoke(commands::permit::RevokeArgs),
    Delegate(commands::representatives::DelegateArgs),
    Guardians(commands::representatives::GuardiansArgs),
    Alias(commands::alias::Args),
    Notices(commands::notices::Args),
    Status(commands::status::Args),
    Doctor(commands::doctor::Args),
    Deploy(commands::deploy::Args),
    #[command(subcommand)]
    Keys(commands::keys::Command),
    Organisations(commands::organisations::Args),
    Holds(commands::holds::Args),
    Erase(commands::erase::Args),
    Accounting(commands::accounting::Args),
    Fsck(commands::fsck::Args),
    Reindex(commands::reindex::Args),
    Export(commands::export::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // What a command has to say it prints; the log of a service is for its operator.
    let usual = match cli.command {
        Command::Serve(_) | Command::Gateway(_) => "info,actix_server=warn",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(cli.command).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("medtrail: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Gateway(args) => commands::gateway::run(args).await,
        Command::Verify(args) => commands::verify::run(args).await,
        Command::Offer(args) => commands::offer::run(args).await,
        Command::Offers(args) => commands::offers::run(args).await,
        Command::Buy(args) => commands::buy::run(args).await,
        Command::Sales(args) => commands::sales::run(args).await,
        Command::Call(args) => commands::call::run(args).await,
        Command::Calls(args) => commands::calls::run(args).await,
        Command::Delivery(command) => commands::delivery::run(command).await,
        Command::Decrypt(args) => commands::decrypt::run(args).await,
        Command::Audit(args) => commands::audit::run(args).await,
        Command::Report(args) => commands::report::run(args).await,
        Command::Proof(args) => commands::proof::run(args).await,
        Command::Ask(args) => commands::questions::ask(args).await,
        Command::Questions(args) => commands::questions::questions(args).await,
        Command::Correct(args) => commands::questions::correct(args).await,
        Command::Claims(args) => commands::questions::claims(args).await,
        Command::Waiting(args) => commands::waiting::waiting(args).await,
        Command::Emergencies(args) => commands::waiting::emergencies(args).await,
        Command::Trail(args) => commands::trail::run(args).await,
        Command::Records(args) => commands::records::run(args).await,
        Command::Sources(args) => commands::sources::run(args).await,
        Command::Approvals(args) => commands::approvals::run(args).await,
        Command::Grant(args) => commands::permit::grant(args).await,
        Command::Revoke(args) => commands::permit::revoke(args).await,
        Command::Delegate(args) => commands::representatives::delegate(args).await,
        Command::Guardians(args) => commands::representatives::guardians(args).await,
        Command::Alias(args) => commands::alias::run(args).await,
        Command::Notices(args) => commands::notices::run(args).await,
        Command::Status(args) => commands::status::run(args).await,
        Command::Doctor(args) => commands::doctor::run(args).await,
        Command::Deploy(args) => commands::deploy::run(args).await,
        Command::Keys(command) => commands::keys::run(command),
        Command::Organisations(args) => commands::organisations::run(args).await,
        Command::Holds(args) => commands::holds::run(args).await,
        Command::Erase(args) => commands::erase::run(args).await,
        Command::Accounting(args) => commands::accounting::run(args).await,
        Command::Fsck(args) => commands::fsck::run(args),
        Command::Reindex(args) => commands::reindex::run(args),
        Command::Export(args) => commands::export::run(args),
    }
}

//! The command line of certificates.

use clap::{Args, Subcommand};
use dind_contract::cli::{Machine, Printing};

/// What to do about certificates.
#[derive(Args, Debug)]
pub struct Tls {
    /// What to do.
    #[command(subcommand)]
    pub verb: TlsVerb,
}

/// What to do about certificates.
#[derive(Clone, Debug, Subcommand)]
pub enum TlsVerb {
    /// Print what `apply` would do; change nothing.
    Plan {
        /// What for.
        #[command(flatten)]
        args: TlsArgs,
        /// Of which machine.
        #[command(flatten)]
        machine: Machine,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
    /// Make what is missing, does not fit or gets old; all of it or nothing.
    Apply {
        /// What for.
        #[command(flatten)]
        args: TlsArgs,
        /// How it is printed.
        #[command(flatten)]
        printing: Printing,
    },
}

/// Who may reach the engine over TCP.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsArgs {
    /// The directory of the certificates; with one, the engine listens on port 2376 for clients that have a certificate.
    #[arg(long, value_name = "DIR", env = "DOCKER_TLS_CERTDIR")]
    pub tls_certdir: Option<String>,
    /// More names and addresses that clients call the engine by: `DNS:ci.example.com,IP:192.0.2.7`.
    #[arg(long, value_name = "NAMES", env = "DOCKER_TLS_SAN")]
    pub tls_san: Option<String>,
    /// Whether the engine may listen on TCP in clear text, on port 2375 [default: false].
    #[arg(long, value_name = "BOOL", env = "DIND_INSECURE_TCP")]
    pub insecure_tcp: Option<String>,
}

//! One simulated client: what it sends, how it reads the answers, when it tries again. Pure and sans-IO; sockets, clocks
//! and randomness come in as arguments from the engine.

pub mod first_message;
pub mod handshake;
pub mod key;
pub mod reconnect;
pub mod upgrade;

pub use first_message::{Credentials, FirstMessage, Sender};
pub use handshake::{Handshake, Step};
pub use key::DeviceKey;

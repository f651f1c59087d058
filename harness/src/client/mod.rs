//! One simulated client: what it sends, how it reads the answers, when it tries again. Pure and sans-IO; sockets, clocks
//! and randomness come in as arguments from the engine.

pub mod credentials;
pub mod first_message;
pub mod handshake;
pub mod hello;
pub mod key;
pub mod reconnect;
pub mod template;
pub mod upgrade;

pub use credentials::{AuthKey, Credentials, Purse};
pub use first_message::{Scratch, Sender};
pub use handshake::{Handshake, Step};
pub use hello::Hello;
pub use key::DeviceKey;
pub use template::Template;

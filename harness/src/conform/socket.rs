//! Connections of the replay and of the recorder: tungstenite, which sends any header and plays the server's part as well,
//! and reads the gateway with another WebSocket implementation than the load does (docs/adr/0003).

use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A connection after its upgrade.
pub(super) type Socket = WebSocketStream<TcpStream>;

/// tungstenite with every size stated: its default read buffer of 128 KiB is allocated and zeroed for every connection,
/// its default write buffer has no limit.
#[must_use]
pub(super) fn config(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(1 << 20)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

//! Devices and requests as rows, and back. Which key of an object stands in which column is a table.

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, Statement, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Failure;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// Any JSON, as text.
    Json,
    /// A whole number.
    Whole,
    /// A boolean, as 0 or 1.
    Flag,
    /// How a device was approved. A word that the release does not know is not read.
    ApprovedVia,
}

/// Values of [`Kind::ApprovedVia`].
const APPROVALS: [&str; 6] =
    ["owner", "silent", "trusted-cidr", "trusted-proxy", "ssh-verified", "bootstrap"];

/// A column, and the key whose value it holds.
#[derive(Debug)]
pub(super) struct Column {
    name: &'static str,
    pub(super) key: &'static str,
    pub(super) kind: Kind,
}

const fn column(name: &'static str, key: &'static str, kind: Kind) -> Column {
    Column { name, key, kind }
}

/// A table of objects.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    pub(super) columns: &'static [Column],
}

/// `device_pairing_paired`.
pub(super) static PAIRED: Table = Table {
    name: "device_pairing_paired",
    columns: &[
        column("device_id", "deviceId", Kind::Text),
        column("public_key", "publicKey", Kind::Text),
        column("display_name", "displayName", Kind::Text),
        column("operator_label", "operatorLabel", Kind::Text),
        column("platform", "platform", Kind::Text),
        column("device_family", "deviceFamily", Kind::Text),
        column("client_id", "clientId", Kind::Text),
        column("client_mode", "clientMode", Kind::Text),
        column("browser_origin", "browserOrigin", Kind::Text),
        column("role", "role", Kind::Text),
        column("roles_json", "roles", Kind::Json),
        column("scopes_json", "scopes", Kind::Json),
        column("approved_scopes_json", "approvedScopes", Kind::Json),
        column("remote_ip", "remoteIp", Kind::Text),
        column("tokens_json", "tokens", Kind::Json),
        column("approved_via", "approvedVia", Kind::ApprovedVia),
        column("node_surface_json", "nodeSurface", Kind::Json),
        column("pending_node_surface_json", "pendingNodeSurface", Kind::Json),
        column("created_at_ms", "createdAtMs", Kind::Whole),
        column("approved_at_ms", "approvedAtMs", Kind::Whole),
        column("last_seen_at_ms", "lastSeenAtMs", Kind::Whole),
        column("last_seen_reason", "lastSeenReason", Kind::Text),
    ],
};

/// `device_pairing_pending`.
pub(super) static PENDING: Table = Table {
    name: "device_pairing_pending",
    columns: &[
        column("request_id", "requestId", Kind::Text),
        column("device_id", "deviceId", Kind::Text),
        column("public_key", "publicKey", Kind::Text),
        column("display_name", "displayName", Kind::Text),
        column("platform", "platform", Kind::Text),
        column("device_family", "deviceFamily", Kind::Text),
        column("client_id", "clientId", Kind::Text),
        column("client_mode", "clientMode", Kind::Text),
        column("browser_origin", "browserOrigin", Kind::Text),
        column("role", "role", Kind::Text),
        column("roles_json", "roles", Kind::Json),
        column("scopes_json", "scopes", Kind::Json),
        column("remote_ip", "remoteIp", Kind::Text),
        column("silent", "silent", Kind::Flag),
        column("is_repair", "isRepair", Kind::Flag),
        column("ts", "ts", Kind::Whole),
        column("refreshed_at_ms", "refreshedAtMs", Kind::Whole),
    ],
};

/// What an insert does when the key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The row there stays.
    Keep,
    /// The new one takes its place.
    Replace,
}

impl Table {
    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    /// Every row that has the shape of a `T`. Rows of another shape are none of ours, and stay.
    pub(super) fn select<T: DeserializeOwned>(&self, connection: &Connection) -> Result<Vec<T>, Failure> {
        let mut statement = connection.prepare(&format!("SELECT {} FROM {}", self.names(), self.name))?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = Map::new();
            for (index, column) in self.columns.iter().enumerate() {
                if let Some(value) = self.value(column, row.get_ref(index)?)? {
                    object.insert(column.key.to_owned(), value);
                }
            }
            if let Ok(row) = serde_json::from_value(Value::Object(object)) {
                all.push(row);
            }
        }
        Ok(all)
    }

    /// What a column says; `None` = the key is absent.
    fn value(&self, column: &Column, held: ValueRef<'_>) -> Result<Option<Value>, Failure> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match (column.kind, held) {
            (Kind::Json, ValueRef::Text(bytes)) => {
                let value = serde_json::from_slice(bytes)
                    .map_err(|_| Failure::Column(format!("{}.{} holds no JSON", self.name, column.name)))?;
                Some(value).filter(|value| *value != Value::Null)
            }
            (Kind::Text, ValueRef::Text(bytes)) => Some(Value::String(text(bytes))),
            (Kind::ApprovedVia, ValueRef::Text(bytes)) => {
                Some(text(bytes)).filter(|word| APPROVALS.contains(&word.as_str())).map(Value::String)
            }
            (Kind::Flag, ValueRef::Integer(number)) => Some(Value::Bool(number != 0)),
            (Kind::Whole, ValueRef::Integer(number)) => Some(number.into()),
            _ => None,
        })
    }

    /// What writes rows of this table.
    pub(super) fn writer<'a>(
        &'static self,
        connection: &'a Connection,
        taken: Taken,
    ) -> Result<Writer<'a>, Failure> {
        let verb = match taken {
            Taken::Keep => "INSERT OR IGNORE",
            Taken::Replace => "INSERT OR REPLACE",
        };
        let places = vec!["?"; self.columns.len()].join(", ");
        let insert = format!("{verb} INTO {} ({}) VALUES ({places})", self.name, self.names());
        Ok(Writer {
            table: self,
            insert: connection.prepare(&insert)?,
            delete: connection.prepare(&format!("DELETE FROM {} WHERE device_id = ?", self.name))?,
        })
    }
}

/// Prepared statements of a table.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    table: &'static Table,
    insert: Statement<'a>,
    delete: Statement<'a>,
}

impl Writer<'_> {
    /// Writes the row of something that serialises to an object.
    pub(super) fn put(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_value(object) {
            Ok(Value::Object(object)) => self.insert(&object),
            _ => Err(Failure::Column(format!("{}: a row that is no object", self.table.name))),
        }
    }

    /// Writes the row of an object; keys without a column are left out.
    pub(super) fn insert(&mut self, object: &Map<String, Value>) -> Result<(), Failure> {
        let values = self.table.columns.iter().map(|column| match (column.kind, object.get(column.key)) {
            (_, None) => Sql::Null,
            (Kind::Json, Some(value)) => Sql::Text(value.to_string()),
            (_, Some(Value::String(text))) => Sql::Text(text.clone()),
            (_, Some(Value::Bool(flag))) => Sql::Integer(i64::from(*flag)),
            (_, Some(Value::Number(number))) => number.as_i64().map_or(Sql::Null, Sql::Integer),
            (_, Some(_)) => Sql::Null,
        });
        self.insert.execute(params_from_iter(values))?;
        Ok(())
    }

    /// Deletes the rows of a device.
    pub(super) fn delete(&mut self, device_id: &str) -> Result<(), Failure> {
        self.delete.execute([device_id])?;
        Ok(())
    }
}

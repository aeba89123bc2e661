//! Properties of messages between JSON and AMQP. Pure.

use serde_json::{Map, Value};

use crate::{
    access::json_table,
    amqp::properties::{Properties, PropertiesView},
    management::answer::Failure,
};

/// Octets of a short string at most.
const SHORT_MAX: usize = 255;

/// Properties of JSON; an empty list is an empty object.
pub(super) fn read(value: &Value) -> Result<Properties, Failure> {
    let mut properties = Properties::default();
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return Ok(properties),
        Value::Array(none) if none.is_empty() => return Ok(properties),
        _ => return Err(Failure::Bad("properties: an object is expected".to_owned())),
    };
    for (name, value) in map {
        read_property(&mut properties, name, value)?;
    }
    Ok(properties)
}

fn read_property(read: &mut Properties, name: &str, value: &Value) -> Result<(), Failure> {
    let wrong = |what: &str| Failure::Bad(format!("property {name}: {what} is expected"));
    let text = || match value {
        Value::String(text) if text.len() <= SHORT_MAX => Ok(Some(text.clone().into_bytes())),
        Value::Number(number) => Ok(Some(number.to_string().into_bytes())),
        _ => Err(wrong("a short text")),
    };
    let number = || {
        let of_text = || value.as_str().and_then(|text| text.parse().ok());
        value.as_u64().or_else(of_text).ok_or_else(|| wrong("a number"))
    };
    let octet = || number().and_then(|number| u8::try_from(number).map_err(|_| wrong("an octet"))).map(Some);
    match name {
        "content_type" => read.content_type = text()?,
        "content_encoding" => read.content_encoding = text()?,
        "delivery_mode" => read.delivery_mode = octet()?,
        "priority" => read.priority = octet()?,
        "correlation_id" => read.correlation_id = text()?,
        "reply_to" => read.reply_to = text()?,
        "expiration" => read.expiration = text()?,
        "message_id" => read.message_id = text()?,
        "timestamp" => read.timestamp = Some(number()?),
        "type" => read.kind = text()?,
        "user_id" => read.user_id = text()?,
        "app_id" => read.app_id = text()?,
        "cluster_id" => read.cluster_id = text()?,
        "headers" => {
            let headers = value.as_object().ok_or_else(|| wrong("an object"))?;
            let headers = json_table::to_table(headers).map_err(|error| wrong(&error.to_string()))?;
            read.headers = Some(headers);
        }
        // RabbitMQ passes over what it does not know.
        _ => {}
    }
    Ok(())
}

/// Properties of a message as JSON; those that are not there are left out.
pub(super) fn show(view: &PropertiesView<'_>) -> Result<Map<String, Value>, Failure> {
    let mut shown = Map::new();
    let texts = [
        ("content_type", view.content_type),
        ("content_encoding", view.content_encoding),
        ("correlation_id", view.correlation_id),
        ("reply_to", view.reply_to),
        ("expiration", view.expiration),
        ("message_id", view.message_id),
        ("type", view.kind),
        ("user_id", view.user_id),
        ("app_id", view.app_id),
        ("cluster_id", view.cluster_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            shown.insert(name.to_owned(), String::from_utf8_lossy(text).into());
        }
    }
    let numbers = [
        ("delivery_mode", view.delivery_mode.map(u64::from)),
        ("priority", view.priority.map(u64::from)),
        ("timestamp", view.timestamp),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            shown.insert(name.to_owned(), number.into());
        }
    }
    if let Some(headers) = view.headers {
        let headers = headers.decode().map_err(|error| Failure::Internal(error.to_string()))?;
        shown.insert("headers".to_owned(), json_table::to_json(&headers).into());
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_survive_the_way_through_json() {
        let sent = json!({
            "content_type": "text/plain", "delivery_mode": 2, "priority": 5, "timestamp": 7, "type": "t",
            "headers": {"x": 1, "y": {"z": "a"}},
        });
        let bytes = read(&sent).unwrap().encode();
        let shown = show(&PropertiesView::parse(&bytes).unwrap()).unwrap();
        assert_eq!(Value::Object(shown), sent);
    }

    #[test]
    fn properties_that_are_none_are_refused() {
        for wrong in [json!({"priority": 256}), json!({"headers": 1}), json!(7)] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
        assert!(read(&json!([])).is_ok());
    }
}

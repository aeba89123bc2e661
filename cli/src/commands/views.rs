//! `weft status`, `services` and `endpoints`: what the control plane knows, for people and programs.

use serde_json::{Value, json};
use weft_model::resource::Kind;

use super::Answer;
use crate::{
    api::{self, Endpoint, Service},
    client::Client,
    objects::{self, ObjectError},
    output::{self, Format},
};

/// How the mesh is, or one service of it.
pub(super) async fn status(client: &Client, service: Option<&str>, format: Format) -> anyhow::Result<Answer> {
    match service {
        Some(service) => status_of(client, service, format).await,
        None => status_of_all(client, format).await,
    }
}

/// All services.
pub(super) async fn services(client: &Client, format: Format) -> anyhow::Result<Answer> {
    let services = api::services(client).await?;
    if format == Format::Json {
        output::json(&services)?;
    } else if services.is_empty() {
        output::note("no service is registered");
    } else {
        table(&services)?;
    }
    Ok(Answer::Yes)
}

/// The replicas of one service.
pub(super) async fn endpoints(client: &Client, service: &str, format: Format) -> anyhow::Result<Answer> {
    let Some(found) = api::endpoints(client, service).await? else {
        return no_service(client, service, format);
    };
    match format {
        Format::Json => output::json(&found)?,
        Format::Table => {
            let rows: Vec<_> = found.endpoints.iter().map(row).collect();
            output::table(&HEADINGS, &rows)?;
        }
        Format::Wide => {
            let headings =
                HEADINGS.iter().copied().chain(["node", "weight", "zone", "tags", "since", "from"]);
            let rows: Vec<_> = found.endpoints.iter().map(wide_row).collect();
            output::table(&headings.collect::<Vec<_>>(), &rows)?;
        }
    }
    Ok(Answer::Yes)
}

const HEADINGS: [&str; 6] = ["instance", "health", "application", "protocol", "sidecar", "reason"];

async fn status_of_all(client: &Client, format: Format) -> anyhow::Result<Answer> {
    let control_plane = api::status(client).await?;
    let services = api::services(client).await?;
    let passes = services.iter().any(|service| service.passing + service.warning > 0);
    if format == Format::Json {
        output::json(&json!({
            "address": client.address().to_string(),
            "control_plane": control_plane,
            "services": services,
        }))?;
        return Ok(passes.into());
    }
    if let Some(control_plane) = control_plane {
        output::line(format!(
            "control plane {} is up for {} s, version {}, revision {}, {} sidecars attached",
            client.address(),
            control_plane.uptime_seconds,
            control_plane.version,
            control_plane.revision,
            control_plane.counts.sidecars,
        ))?;
    }
    if services.is_empty() {
        output::line("no service is registered")?;
    } else {
        output::line("")?;
        table(&services)?;
    }
    for (name, trouble) in troubles(client).await? {
        output::line(format!("\n{name}: {trouble}"))?;
    }
    if format == Format::Wide {
        for service in &services {
            output::line("")?;
            output::line(&service.service)?;
            endpoints(client, &service.service, Format::Wide).await?;
        }
    }
    Ok(passes.into())
}

/// Resources that somebody should look at. A control plane of the version before has none.
async fn troubles(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let items = match objects::list(client, kind, None).await {
            Err(ObjectError::NoResources { .. }) => return Ok(all),
            items => items?,
        };
        for item in items {
            let text = |place: &str| item.pointer(place).and_then(Value::as_str).unwrap_or_default();
            let name = text("/metadata/name");
            let name =
                format!("{}/{name} in {}", kind.as_str().to_ascii_lowercase(), text("/metadata/namespace"));
            all.extend(super::resources::troubles(&item).into_iter().map(|trouble| (name.clone(), trouble)));
        }
    }
    Ok(all)
}

async fn status_of(client: &Client, service: &str, format: Format) -> anyhow::Result<Answer> {
    let Some(found) = api::endpoints(client, service).await? else {
        return no_service(client, service, format);
    };
    let callable = found.endpoints.iter().filter(|endpoint| endpoint.health != "critical").count();
    if format == Format::Json {
        output::json(&found)?;
    } else {
        output::line(format!("{}: {callable} of {} replicas pass", found.service, found.endpoints.len()))?;
        for endpoint in found.endpoints.iter().filter(|endpoint| endpoint.health != "passing") {
            let Endpoint { id, node, health, since, reason, .. } = endpoint;
            output::line(format!("  {id} on {node} is {health} since {since}: {reason}"))?;
        }
        if format == Format::Wide {
            endpoints(client, service, Format::Wide).await?;
        }
    }
    Ok((callable > 0).into())
}

fn no_service(client: &Client, service: &str, format: Format) -> anyhow::Result<Answer> {
    if format == Format::Json {
        output::json(&json!({ "service": service, "endpoints": [] }))?;
    } else {
        output::note(format!(
            "{} knows no service {service}: `weft services` lists those it knows",
            client.address()
        ));
    }
    Ok(Answer::No)
}

fn table(services: &[Service]) -> anyhow::Result<()> {
    let rows: Vec<_> = services
        .iter()
        .map(|service| {
            let Service { service, instances, passing, warning, critical } = service;
            vec![
                service.clone(),
                instances.to_string(),
                passing.to_string(),
                warning.to_string(),
                critical.to_string(),
            ]
        })
        .collect();
    output::table(&["service", "replicas", "passing", "warning", "critical"], &rows)
}

fn row(endpoint: &Endpoint) -> Vec<String> {
    let port = endpoint.ports.first();
    vec![
        endpoint.id.clone(),
        endpoint.health.clone(),
        port.map_or_else(|| endpoint.address.clone(), |port| format!("{}:{}", endpoint.address, port.port)),
        port.map(|port| port.protocol.clone()).unwrap_or_default(),
        endpoint.hop.address.clone().unwrap_or_default(),
        endpoint.reason.clone(),
    ]
}

fn wide_row(endpoint: &Endpoint) -> Vec<String> {
    let mut row = row(endpoint);
    row.extend([
        endpoint.node.clone(),
        endpoint.weight.to_string(),
        endpoint.zone.clone(),
        endpoint.tags.join(","),
        endpoint.since.clone(),
        endpoint.origin.clone(),
    ]);
    row
}

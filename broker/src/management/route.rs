//! From the first component of a path to the file that knows the rest.

use super::{
    access,
    answer::{Answer, Failure},
    bindings, connections,
    context::Context,
    definitions, exchanges, health, messages, nodes, overview, parameters, policies, queues,
    request::Request,
    users, vhosts,
};

/// Answers a request.
pub(super) async fn route(context: &Context, request: &Request) -> Result<Answer, Failure> {
    let components = request.components();
    let Some((first, rest)) = components.split_first() else { return Ok(Answer::Elsewhere("/")) };
    match *first {
        "overview"
        | "whoami"
        | "cluster-name"
        | "extensions"
        | "auth"
        | "feature-flags"
        | "deprecated-features"
        | "rebalance"
        | "reset"
        | "version" => overview::handle(context, request, &components).await,
        "nodes" => nodes::handle(context, request, rest).await,
        "connections" | "channels" | "consumers" | "stream" => {
            connections::handle(context, request, &components).await
        }
        "exchanges" => match rest {
            [vhost, exchange, "publish"] => messages::publish(context, request, vhost, exchange).await,
            _ => exchanges::handle(context, request, rest).await,
        },
        "queues" => match rest {
            [vhost, queue, "get"] => messages::get(context, request, vhost, queue).await,
            _ => queues::handle(context, request, rest).await,
        },
        "bindings" => bindings::handle(context, request, rest).await,
        "vhosts" => vhosts::handle(context, request, rest).await,
        "users" => users::handle(context, request, rest).await,
        "permissions" | "topic-permissions" => access::handle(context, request, &components).await,
        "parameters" | "global-parameters" | "vhost-limits" | "user-limits" => {
            parameters::handle(context, request, &components).await
        }
        "policies" | "operator-policies" => policies::handle(context, request, &components).await,
        "definitions" | "all-configuration" => definitions::handle(context, request, rest).await,
        "health" | "healthchecks" | "aliveness-test" => health::handle(context, request, &components).await,
        _ => Err(Failure::NotFound),
    }
}

//! Routes that describe themselves: each is added with its OpenAPI operation in one step, so that router and
//! document cannot differ.

use std::sync::Arc;

use axum::{Router, handler::Handler, routing::MethodFilter};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder,
        PathItem, Paths, Ref, RefOr, ResponseBuilder, Schema,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, Type},
    },
};

use super::Api;

/// One route: method, path and what is to be known about it.
pub(crate) struct Route {
    method: Method,
    path: &'static str,
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// The methods of the API.
#[derive(Debug, Clone, Copy)]
enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// A query parameter: name and what it does.
pub(crate) type Param = (&'static str, &'static str);

/// Parameters of every read that can block.
pub(crate) const BLOCKING: [Param; 2] = [
    ("index", "answer when the thing changed beyond this X-Consul-Index"),
    ("wait", "answer anyway after so long (5m by default, 10m at most)"),
];

impl Route {
    /// A read.
    pub(crate) fn get(path: &'static str, summary: &str) -> Self {
        Self::new(Method::Get, path, summary)
    }

    /// Something new.
    pub(crate) fn post(path: &'static str, summary: &str) -> Self {
        Self::new(Method::Post, path, summary)
    }

    /// A write.
    pub(crate) fn put(path: &'static str, summary: &str) -> Self {
        Self::new(Method::Put, path, summary)
    }

    /// A removal.
    pub(crate) fn delete(path: &'static str, summary: &str) -> Self {
        Self::new(Method::Delete, path, summary)
    }

    fn new(method: Method, path: &'static str, summary: &str) -> Self {
        let tag = match path.split('/').nth(1) {
            Some("api" | "apis") => "resources",
            _ => path.split('/').nth(2).unwrap_or("metrics"),
        };
        let mut operation = OperationBuilder::new().summary(Some(summary)).tag(tag);
        for name in path_parameters(path) {
            operation = operation.parameter(parameter(name, "", ParameterIn::Path));
        }
        Self { method, path, operation, schemas: Vec::new() }
    }

    /// With these query parameters.
    pub(crate) fn query(mut self, params: &[Param]) -> Self {
        for (name, description) in params {
            self.operation = self.operation.parameter(parameter(name, description, ParameterIn::Query));
        }
        self
    }

    /// A read that can block.
    pub(crate) fn blocking(self) -> Self {
        self.query(&BLOCKING)
    }

    /// With a body, described in words: the shape is Consul's own.
    pub(crate) fn body(mut self, content_type: &str, description: &str) -> Self {
        let content =
            ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::Object).build()));
        let body = RequestBodyBuilder::new()
            .description(Some(description))
            .content(content_type, content.build())
            .build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// Answers 200 with JSON of this shape.
    pub(crate) fn json<T: ToSchema>(mut self) -> Self {
        T::schemas(&mut self.schemas);
        let content = ContentBuilder::new().schema(Some(schema_of::<T>(&mut self.schemas))).build();
        let response = ResponseBuilder::new().description("done").content("application/json", content);
        self.operation = self.operation.response("200", response.build());
        self
    }

    /// Answers 201 too, when something was made.
    pub(crate) fn created(self) -> Self {
        self.status("201", "made")
    }

    /// Answers 200 with text.
    pub(crate) fn text(mut self) -> Self {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description("done").content("text/plain", content);
        self.operation = self.operation.response("200", response.build());
        self
    }

    /// Answers 200 with no body.
    pub(crate) fn empty(self) -> Self {
        self.status("200", "done")
    }

    /// May answer this status, in plain text.
    pub(crate) fn status(mut self, status: &str, description: &str) -> Self {
        let response = ResponseBuilder::new().description(description).build();
        self.operation = self.operation.response(status, response);
        self
    }
}

/// Router and document, growing together.
pub(crate) struct Routes {
    router: Router<Arc<Api>>,
    paths: Paths,
    components: ComponentsBuilder,
}

impl Routes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), paths: Paths::new(), components: ComponentsBuilder::new() }
    }

    /// One more.
    pub(crate) fn add<T: 'static>(self, route: Route, handler: impl Handler<T, Arc<Api>>) -> Self {
        let Route { method, path, operation, schemas } = route;
        let (filter, http_method) = method.parts();
        let router = self.router.route(path, axum::routing::on(filter, handler));
        let documented = path.replace("{*", "{");
        let mut paths = self.paths;
        add_operation(&mut paths, documented, http_method, operation.build());
        let components = schemas
            .into_iter()
            .fold(self.components, |components, (name, schema)| components.schema(name, schema));
        Self { router, paths, components }
    }

    /// The router, without state, and the document.
    pub(crate) fn into_parts(self) -> (Router<Arc<Api>>, OpenApi) {
        let info = InfoBuilder::new()
            .title("Weft control plane")
            .description(Some("Consul's HTTP API, resources on Kubernetes' paths under /apis, and read-only views of Weft's own under /v1/weft."))
            .version(env!("CARGO_PKG_VERSION"))
            .build();
        let components: Components = self.components.build();
        let document =
            OpenApiBuilder::new().info(info).paths(self.paths).components(Some(components)).build();
        (self.router, document)
    }
}

impl Method {
    const fn parts(self) -> (MethodFilter, HttpMethod) {
        match self {
            Self::Get => (MethodFilter::GET, HttpMethod::Get),
            Self::Post => (MethodFilter::POST, HttpMethod::Post),
            Self::Put => (MethodFilter::PUT, HttpMethod::Put),
            Self::Delete => (MethodFilter::DELETE, HttpMethod::Delete),
        }
    }
}

fn add_operation(paths: &mut Paths, path: String, method: HttpMethod, operation: Operation) {
    let item = PathItem::new(method, operation);
    match paths.paths.get_mut(&path) {
        Some(known) => known.merge_operations(item),
        None => {
            paths.paths.insert(path, item);
        }
    }
}

/// A reference for what has a name of its own, the schema itself for the rest (lists, maps, numbers).
fn schema_of<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    let schema = <T as PartialSchema>::schema();
    match &schema {
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => {
            let name = T::name().into_owned();
            schemas.push((name.clone(), schema));
            RefOr::Ref(Ref::from_schema_name(name))
        }
        _ => schema,
    }
}

fn parameter(name: &str, description: &str, place: ParameterIn) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    let builder = ParameterBuilder::new().name(name).parameter_in(place).schema(Some(schema));
    if description.is_empty() { builder.build() } else { builder.description(Some(description)).build() }
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

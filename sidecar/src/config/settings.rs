//! What can be said to a sidecar, in one list: each setting is a flag, a variable and a field of the file, all
//! of one name. It must not know what a setting means: [`super::validate`] does. A flag goes before its
//! variable (clap's doing), both before the file, and the file before the default.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, builder::BoolishValueParser};
use serde::Deserialize;

use super::{
    concurrency::RawLimit,
    limits::{RawHeaders, RawLimits},
    policy::RawPolicy,
};

/// Every setting as it was written; what was not is `None` or empty.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// The control plane's gRPC, as http://HOST:8502; without it the sidecar runs alone, from `services` of
    /// its file
    #[arg(long, env = "WEFT_CONTROL_PLANE", value_name = "URL")]
    pub(super) control_plane: Option<String>,
    /// The service that the application is an instance of; without it only outbound calls are carried
    #[arg(long, env = "WEFT_SERVICE", value_name = "NAME")]
    pub(super) service: Option<String>,
    /// Name of the instance, unique a node [default: <service>-<host name>, with the port of --app if given]
    #[arg(long, env = "WEFT_INSTANCE", value_name = "ID")]
    pub(super) instance: Option<String>,
    /// Namespace of the service, and of host names without one [default: default]
    #[arg(long, env = "WEFT_NAMESPACE", value_name = "NS")]
    pub(super) namespace: Option<String>,
    /// Name of the machine [default: its host name]
    #[arg(long, env = "WEFT_NODE", value_name = "NAME")]
    pub(super) node: Option<String>,
    /// Where the application listens; with a command and without this flag: the variable PORT, or a
    /// free port, which it is given as PORT
    #[arg(long, env = "WEFT_APP", value_name = "IP:PORT")]
    pub(super) app: Option<String>,
    /// What the application speaks: auto, http, http2, grpc, tcp [default: auto]
    #[arg(long, env = "WEFT_PROTOCOL", value_name = "P")]
    pub(super) protocol: Option<String>,
    /// How its health is found out: http:/path, tcp or grpc [default: tcp]
    #[arg(long, env = "WEFT_CHECK", value_name = "CHECK")]
    pub(super) check: Option<String>,
    /// Between the starts of two checks [default: 2s]
    #[arg(long, env = "WEFT_CHECK_INTERVAL", value_name = "TIME")]
    pub(super) check_interval: Option<String>,
    /// A check that takes longer has failed [default: 1s]
    #[arg(long, env = "WEFT_CHECK_TIMEOUT", value_name = "TIME")]
    pub(super) check_timeout: Option<String>,
    /// Failures in a row until the instance is critical [default: 2]
    #[arg(long, env = "WEFT_CHECK_FAILURES", value_name = "N")]
    pub(super) check_failures: Option<u32>,
    /// Tags of the instance
    #[arg(long = "tag", env = "WEFT_TAG", value_name = "TAG", value_delimiter = ',')]
    pub(super) tags: Vec<String>,
    /// Its share of the traffic [default: 1]
    #[arg(long, env = "WEFT_WEIGHT", value_name = "N")]
    pub(super) weight: Option<u16>,
    /// Where it stands, with an instance or without: what a zone preference prefers
    #[arg(long, env = "WEFT_ZONE", value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// Where the application's calls come in [default: 127.0.0.1:4140]
    #[arg(long, env = "WEFT_OUTBOUND", value_name = "IP:PORT")]
    pub(super) outbound: Option<String>,
    /// Where other sidecars' calls come in [default: 127.0.0.1:4143]
    #[arg(long, env = "WEFT_INBOUND", value_name = "IP:PORT")]
    pub(super) inbound: Option<String>,
    /// What others are told to dial [default: the inbound address; if that is 0.0.0.0, the one used towards
    /// the control plane]
    #[arg(long, env = "WEFT_ADVERTISE", value_name = "IP:PORT")]
    pub(super) advertise: Option<String>,
    /// /live, /ready, /metrics, /explain, /tap and /config_dump [default: 127.0.0.1:4191]
    #[arg(long, env = "WEFT_ADMIN", value_name = "IP:PORT")]
    pub(super) admin: Option<String>,
    /// Keep queues here: be a message broker, with its data in --data-dir
    #[arg(long, env = "WEFT_QUEUE_HOST", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    pub(super) queue_host: Option<bool>,
    /// Where AMQP 0-9-1 clients connect to a queue host [default: 127.0.0.1:5672]
    #[arg(long, env = "WEFT_AMQP", value_name = "IP:PORT")]
    pub(super) amqp: Option<String>,
    /// The management API of a queue host, as RabbitMQ's [default: 127.0.0.1:15672]
    #[arg(long, env = "WEFT_MANAGEMENT", value_name = "IP:PORT")]
    pub(super) management: Option<String>,
    /// Publishers to a queue host wait while it uses more memory: a share, or bytes as 2GiB [default: 60%]
    #[arg(long, env = "WEFT_MEMORY_WATERMARK", value_name = "SHARE|BYTES")]
    pub(super) memory_watermark: Option<String>,
    /// Publishers to a queue host wait while less is free on its disk [default: 50MB]
    #[arg(long, env = "WEFT_DISK_FREE_MIN", value_name = "BYTES")]
    pub(super) disk_free_min: Option<String>,
    /// The largest message that a queue host takes [default: 16MiB]
    #[arg(long, env = "WEFT_MESSAGE_SIZE_MAX", value_name = "BYTES")]
    pub(super) message_size_max: Option<String>,
    /// Waiting messages that each virtual host of a queue host keeps in memory; the others are on the disk only [default: 64MiB]
    #[arg(long, env = "WEFT_QUEUE_MEMORY", value_name = "BYTES")]
    pub(super) queue_memory: Option<String>,
    /// How long a delivery may wait for its acknowledgement before its channel is closed, or never [default: 30m]
    #[arg(long, env = "WEFT_CONSUMER_TIMEOUT", value_name = "TIME")]
    pub(super) consumer_timeout: Option<String>,
    /// For the snapshot, ports.json and, on a queue host, messages [default: a folder by instance under the user's state directory]
    #[arg(long, env = "WEFT_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Listen beyond loopback, where the network itself is closed
    #[arg(long, env = "WEFT_INSECURE_LISTEN", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    pub(super) insecure_listen: Option<bool>,
    /// A fixed local port to a service, for anything that speaks TCP: NAME=PORT or NAME=IP:PORT, 0 = any
    #[arg(long = "upstream", env = "WEFT_UPSTREAM", value_name = "NAME=PORT", value_delimiter = ',')]
    #[serde(skip)]
    pub(super) upstream_flags: Vec<String>,
    #[arg(skip)]
    pub(super) upstreams: BTreeMap<String, RawUpstream>,
    /// Services to know from the start, beside the upstreams
    #[arg(long, env = "WEFT_SUBSCRIBE", value_name = "NAME", value_delimiter = ',')]
    pub(super) subscribe: Vec<String>,
    /// Absolute URIs outside the mesh: allow or registered [default: allow]
    #[arg(long, env = "WEFT_EGRESS", value_name = "WHAT")]
    pub(super) egress: Option<String>,
    /// Threads that carry data [default: 1]
    #[arg(long, env = "WEFT_THREADS", value_name = "N")]
    pub(super) threads: Option<usize>,
    /// Access records: stdout, off, or a file [default: stdout]
    #[arg(long, env = "WEFT_ACCESS_LOG", value_name = "WHERE")]
    pub(super) access_log: Option<String>,
    /// How an access record looks: json or text [default: json]
    #[arg(long, env = "WEFT_ACCESS_LOG_FORMAT", value_name = "FORMAT")]
    pub(super) access_log_format: Option<String>,
    /// The share of access records that is written, as 10%; failures are all written [default: 100%]
    #[arg(long, env = "WEFT_ACCESS_LOG_SAMPLE", value_name = "SHARE")]
    pub(super) access_log_sample: Option<String>,
    /// Write access records of failures, and where one of these holds: errors (failures only), retried,
    /// slower:TIME, or a class of status as 4xx [default: all]
    #[arg(long, env = "WEFT_ACCESS_LOG_WHEN", value_name = "CONDITION", value_delimiter = ',')]
    pub(super) access_log_when: Vec<String>,
    /// How many of the last requests are kept for `weft explain`, 65536 at most; 0 = none
    /// [default: 1024]
    #[arg(long, env = "WEFT_EXPLAIN_REQUESTS", value_name = "N")]
    pub(super) explain_requests: Option<usize>,
    /// A collector of traces that speaks OTLP over gRPC, as http://127.0.0.1:4317; without one nothing is traced,
    /// and traceparent and B3 headers pass as they come
    #[arg(long, env = "WEFT_OTLP_ENDPOINT", value_name = "URL")]
    pub(super) otlp_endpoint: Option<String>,
    /// The share of traces that begin here and are recorded, as 100%; of others their beginner decides
    /// [default: 10%]
    #[arg(long, env = "WEFT_TRACE_SAMPLE", value_name = "SHARE")]
    pub(super) trace_sample: Option<String>,
    /// Logs: text or json [default: text]
    #[arg(long, env = "WEFT_LOG_FORMAT", value_name = "FORMAT")]
    pub(super) log_format: Option<String>,
    /// What is logged, as `info` or `weft_sidecar=debug,info` [default: info]
    #[arg(long, env = "WEFT_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Ask clients of the inbound port to connect anew after this time, as 10m [default: never]
    #[arg(long, env = "WEFT_CONNECTION_AGE_MAX", value_name = "TIME")]
    pub(super) connection_age_max: Option<String>,
    /// The same for the outbound port and the upstreams' ones [default: never]
    #[arg(long, env = "WEFT_OUTBOUND_CONNECTION_AGE_MAX", value_name = "TIME")]
    pub(super) outbound_connection_age_max: Option<String>,
    /// How long a stop waits for requests [default: 20s]
    #[arg(long, env = "WEFT_DRAIN_TIMEOUT", value_name = "TIME")]
    pub(super) drain_timeout: Option<String>,
    /// Leave http_proxy, HTTP_PROXY and no_proxy out of the command's environment
    #[arg(long, env = "WEFT_NO_PROXY_ENV", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    pub(super) no_proxy_env: Option<bool>,
    /// The application to start once the sidecar listens and knows its upstreams; `$PORT` in it is replaced
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
    #[arg(skip)]
    pub(super) services: BTreeMap<String, Vec<RawEndpoint>>,
    #[arg(skip)]
    pub(super) policy: RawPolicy,
    #[arg(skip)]
    pub(super) limits: RawLimits,
    #[arg(skip)]
    pub(super) headers: RawHeaders,
    #[arg(skip)]
    pub(super) concurrency: Option<RawLimit>,
}

/// An upstream in the file: `orders: 9001`, `orders: 127.0.0.1:9001`, or with more to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "give a port, IP:PORT, or a mapping of port, port_name and protocol")]
pub(super) enum RawUpstream {
    Port(u16),
    Address(String),
    Full(RawUpstreamFields),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstreamFields {
    pub(super) port: u16,
    #[serde(default)]
    pub(super) port_name: String,
    pub(super) protocol: Option<String>,
}

/// One endpoint of a service in the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) protocol: Option<String>,
    pub(super) id: Option<String>,
    pub(super) weight: Option<u16>,
    #[serde(default)]
    pub(super) zone: String,
    pub(super) sidecar: Option<String>,
}

impl Settings {
    /// Each setting from `self`, or, where that says nothing, from the file.
    pub(super) fn over(self, file: Self) -> Self {
        let (said, file) = (self.without_empty_texts(), file.without_empty_texts());
        macro_rules! first {
            ($($option:ident)* ; $($list:ident)*) => {
                Self {
                    $($option: said.$option.or(file.$option),)*
                    $($list: if said.$list.is_empty() { file.$list } else { said.$list },)*
                    upstream_flags: said.upstream_flags,
                    policy: file.policy,
                    limits: file.limits,
                    headers: file.headers,
                    concurrency: file.concurrency,
                }
            };
        }
        first!(
            control_plane service instance namespace node app protocol check check_interval check_timeout
            check_failures weight zone outbound inbound advertise admin data_dir insecure_listen egress threads
            access_log access_log_format access_log_sample explain_requests log_format log connection_age_max
            outbound_connection_age_max drain_timeout no_proxy_env otlp_endpoint trace_sample queue_host amqp management
            memory_watermark disk_free_min message_size_max queue_memory consumer_timeout;
            tags subscribe access_log_when command upstreams services
        )
    }

    /// An empty variable is what deployments write for "not set".
    fn without_empty_texts(mut self) -> Self {
        for text in [
            &mut self.control_plane,
            &mut self.service,
            &mut self.instance,
            &mut self.namespace,
            &mut self.node,
            &mut self.app,
            &mut self.protocol,
            &mut self.check,
            &mut self.check_interval,
            &mut self.check_timeout,
            &mut self.zone,
            &mut self.outbound,
            &mut self.inbound,
            &mut self.advertise,
            &mut self.admin,
            &mut self.egress,
            &mut self.access_log,
            &mut self.access_log_format,
            &mut self.access_log_sample,
            &mut self.otlp_endpoint,
            &mut self.trace_sample,
            &mut self.log_format,
            &mut self.log,
            &mut self.connection_age_max,
            &mut self.outbound_connection_age_max,
            &mut self.drain_timeout,
        ] {
            text.take_if(|text| text.trim().is_empty());
        }
        self.drop_empty_texts_of_a_queue_host();
        for list in [&mut self.tags, &mut self.subscribe, &mut self.access_log_when, &mut self.upstream_flags]
        {
            list.retain(|text| !text.trim().is_empty());
        }
        self.data_dir.take_if(|dir| dir.as_os_str().is_empty());
        self
    }

    fn drop_empty_texts_of_a_queue_host(&mut self) {
        for text in [
            &mut self.amqp,
            &mut self.management,
            &mut self.memory_watermark,
            &mut self.disk_free_min,
            &mut self.message_size_max,
            &mut self.queue_memory,
            &mut self.consumer_timeout,
        ] {
            text.take_if(|text| text.trim().is_empty());
        }
    }
}

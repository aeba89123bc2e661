//! What a health check is: its definition, parsed from flags, files and Consul's JSON.

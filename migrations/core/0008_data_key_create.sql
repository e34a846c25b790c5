-- The keys that seal what the database holds of secrets. They are of no use without the provider's key, which is not here.
CREATE TABLE kernel_core.data_key (
    number       integer     NOT NULL CONSTRAINT data_key_number CHECK (number > 0),
    wrapped      bytea       NOT NULL,
    key_id       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    -- Later than created_at, so that every process knows the key before anybody seals with it.
    sealing_from timestamptz NOT NULL,
    CONSTRAINT data_key_pkey PRIMARY KEY (number),
    CONSTRAINT data_key_order CHECK (sealing_from >= created_at)
);

CREATE TABLE information (
	id INTEGER NOT NULL,
	schema_version INTEGER NOT NULL,
	seed BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE scans (
	id INTEGER NOT NULL,
	name VARCHAR(255) NOT NULL,
	state VARCHAR(10) NOT NULL,
	position BIGINT NOT NULL,
	labelled_at DOUBLE,
	PRIMARY KEY (id),
	UNIQUE (name)
);
CREATE INDEX scans_by_position ON scans (state, position);
CREATE TABLE events (
	id INTEGER NOT NULL,
	time DOUBLE NOT NULL,
	kind VARCHAR(32) NOT NULL,
	scan VARCHAR(255),
	client VARCHAR(255),
	detail TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX events_by_kind ON events (kind, time);
CREATE TABLE scores (
	scan_id INTEGER NOT NULL,
	generation VARCHAR(255) NOT NULL,
	waiting BOOLEAN NOT NULL,
	mean DOUBLE,
	classes JSON,
	error TEXT,
	seconds DOUBLE NOT NULL,
	time DOUBLE NOT NULL,
	PRIMARY KEY (scan_id, generation),
	FOREIGN KEY(scan_id) REFERENCES scans (id) ON DELETE CASCADE
);
CREATE INDEX scores_by_mean ON scores (generation, waiting, mean, scan_id);
CREATE TABLE leases (
	scan_id INTEGER NOT NULL,
	client VARCHAR(255) NOT NULL,
	served DOUBLE NOT NULL,
	expires DOUBLE NOT NULL,
	PRIMARY KEY (scan_id),
	FOREIGN KEY(scan_id) REFERENCES scans (id) ON DELETE CASCADE
);
CREATE INDEX leases_by_client ON leases (client, served);

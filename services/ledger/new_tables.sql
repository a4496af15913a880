-- The tables of version 0021, by services/ledger/new_tables.py;

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE counts (
	fingerprint VARCHAR(64) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	method VARCHAR(20) NOT NULL, 
	counted_at DATETIME NOT NULL, 
	CONSTRAINT pk_counts PRIMARY KEY (fingerprint, model)
);

CREATE TABLE payloads (
	run_id VARCHAR(64) NOT NULL, 
	row_number BIGINT NOT NULL, 
	body TEXT NOT NULL, pruned_body TEXT, 
	CONSTRAINT pk_payloads PRIMARY KEY (run_id, row_number)
);

CREATE TABLE runs (
	run_id VARCHAR(64) NOT NULL, 
	jobs_path TEXT NOT NULL, 
	results_path TEXT NOT NULL, 
	policy_name VARCHAR(100) NOT NULL, 
	policy JSON NOT NULL, 
	mode VARCHAR(20) NOT NULL, 
	endpoint TEXT NOT NULL, 
	simulated BOOLEAN NOT NULL, 
	prefect_flow_run_id VARCHAR(64), 
	host VARCHAR(255) NOT NULL, 
	pid BIGINT NOT NULL, 
	process_started BIGINT NOT NULL, 
	started_at DATETIME NOT NULL, 
	heartbeat_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR(20), 
	report JSON, owner VARCHAR(64), lease_until DATETIME, boot_id VARCHAR(64), pid_namespace VARCHAR(64), workspace VARCHAR(200), parks_unknown BOOLEAN DEFAULT 1 NOT NULL, calls JSON, quote_id VARCHAR(64), deadline_at DATETIME, halted VARCHAR(40), reading_digest VARCHAR(64), 
	CONSTRAINT pk_runs PRIMARY KEY (run_id)
);

CREATE TABLE attempts (
	attempt_id VARCHAR(64) NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	row_number BIGINT NOT NULL, 
	job_id TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	group_name VARCHAR(100), 
	budget_day VARCHAR(10) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	input_bound BIGINT NOT NULL, 
	max_tokens BIGINT NOT NULL, 
	expected_nano_usd BIGINT NOT NULL, 
	worst_case_nano_usd BIGINT NOT NULL, 
	held_nano_usd BIGINT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	sent_at DATETIME, 
	ended_at DATETIME, 
	tries BIGINT NOT NULL, 
	actual_input_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	cache_read_tokens BIGINT, 
	actual_output_tokens BIGINT, 
	actual_nano_usd BIGINT, 
	usage JSON, 
	stop_reason TEXT, 
	request_id TEXT, 
	error TEXT, batch_id VARCHAR(64), payload_class VARCHAR(20) DEFAULT 'text' NOT NULL, method VARCHAR(20) DEFAULT 'counted' NOT NULL, expected_low_nano_usd BIGINT, expected_high_nano_usd BIGINT, cache_write_1h_tokens BIGINT, thinking_tokens BIGINT, web_searches BIGINT, service_tier VARCHAR(40), inference_geo VARCHAR(40), billing VARCHAR(20), effort VARCHAR(20), thinking_budget BIGINT, split_jobs INTEGER, deadline VARCHAR(20), prefix_key VARCHAR(64), cache_ttl VARCHAR(2), is_prime BOOLEAN, sent_by VARCHAR(32), 
	CONSTRAINT pk_attempts PRIMARY KEY (attempt_id), 
	CONSTRAINT ck_attempts_an_ended_attempt_holds_nothing CHECK (held_nano_usd = 0 OR state IN ('open', 'unknown')), 
	CONSTRAINT ck_attempts_state_is_known CHECK (state IN ('open', 'succeeded', 'failed', 'unknown')), 
	CONSTRAINT fk_attempts_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
);

CREATE INDEX ix_attempts_fingerprint_job_id ON attempts (fingerprint, job_id);

CREATE INDEX ix_attempts_run_id_state ON attempts (run_id, state);

CREATE TABLE jobs (
	run_id VARCHAR(64) NOT NULL, 
	row_number BIGINT NOT NULL, 
	job_id TEXT, 
	fingerprint VARCHAR(64), 
	group_name VARCHAR(100), 
	priority BIGINT NOT NULL, 
	pinned_model VARCHAR(100), 
	max_tokens BIGINT, 
	own_max_input_tokens BIGINT, 
	own_max_cost_nano_usd BIGINT, 
	cache_ttl VARCHAR(2), 
	payload_bytes BIGINT, 
	model VARCHAR(100), 
	input_tokens BIGINT, 
	method VARCHAR(20), 
	expected_nano_usd BIGINT, 
	worst_case_nano_usd BIGINT, 
	decision VARCHAR(20), 
	outcome VARCHAR(20), 
	reason VARCHAR(40), 
	detail TEXT, 
	attempt_id VARCHAR(64), traits JSON, review_id INTEGER, ceiling_tokens BIGINT, ceiling_nano_usd BIGINT, shares_with_row BIGINT, kept JSON, prefix_key VARCHAR(64), 
	CONSTRAINT pk_jobs PRIMARY KEY (run_id, row_number), 
	CONSTRAINT fk_jobs_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
);

CREATE INDEX ix_jobs_attempt_id ON jobs (attempt_id);

CREATE INDEX ix_jobs_run_id_job_id ON jobs (run_id, job_id);

CREATE TABLE responses (
	attempt_id VARCHAR(64) NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_responses PRIMARY KEY (attempt_id), 
	CONSTRAINT fk_responses_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (attempt_id)
);

CREATE TABLE batches (
	batch_id VARCHAR(64) NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	provider_batch_id VARCHAR(100), 
	state VARCHAR(20) NOT NULL, 
	requests BIGINT NOT NULL, 
	request_bytes BIGINT NOT NULL, 
	prepared_at DATETIME NOT NULL, 
	doubtful_since DATETIME, 
	submitted_at DATETIME, 
	expires_at DATETIME, 
	ended_at DATETIME, 
	request_counts JSON, 
	detail TEXT, endpoint TEXT, workspace VARCHAR(200), missing_since DATETIME, given_up_at DATETIME, cancel_asked_at DATETIME, 
	CONSTRAINT pk_batches PRIMARY KEY (batch_id), 
	CONSTRAINT ck_batches_state_is_known CHECK (state IN ('prepared', 'submitted', 'ended', 'absent')), 
	CONSTRAINT fk_batches_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT uq_batches_provider_batch_id UNIQUE (provider_batch_id)
);

CREATE INDEX ix_batches_run_id_state ON batches (run_id, state);

CREATE INDEX ix_attempts_batch_id ON attempts (batch_id);

CREATE INDEX ix_attempts_ended_at ON attempts (ended_at);

CREATE TABLE budgets (
	scope VARCHAR(20) NOT NULL, 
	period VARCHAR(100) NOT NULL, 
	group_name VARCHAR(100) DEFAULT '' NOT NULL, 
	cap_nano_usd BIGINT, 
	held_nano_usd BIGINT NOT NULL, 
	settled_nano_usd BIGINT NOT NULL, 
	CONSTRAINT pk_budgets PRIMARY KEY (scope, period, group_name), 
	CONSTRAINT ck_budgets_held_is_not_negative CHECK (held_nano_usd >= 0), 
	CONSTRAINT ck_budgets_settled_is_not_negative CHECK (settled_nano_usd >= 0)
);

CREATE TABLE history (
	day VARCHAR(10) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	service_tier VARCHAR(40) NOT NULL, 
	group_name VARCHAR(100) NOT NULL, 
	payload_class VARCHAR(20) NOT NULL, 
	jobs BIGINT NOT NULL, 
	estimated_input_tokens BIGINT NOT NULL, 
	actual_input_tokens BIGINT NOT NULL, 
	cache_write_tokens BIGINT NOT NULL, 
	cache_write_1h_tokens BIGINT NOT NULL, 
	cache_read_tokens BIGINT NOT NULL, 
	actual_output_tokens BIGINT NOT NULL, 
	thinking_tokens BIGINT NOT NULL, 
	web_searches BIGINT NOT NULL, 
	worst_case_nano_usd BIGINT NOT NULL, 
	expected_nano_usd BIGINT NOT NULL, 
	actual_nano_usd BIGINT NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (day, model, service_tier, group_name, payload_class)
);

CREATE TABLE reviews (
	id INTEGER NOT NULL, 
	job_id TEXT NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	reason VARCHAR(40) NOT NULL, 
	detail TEXT NOT NULL, 
	would_pass TEXT, 
	status VARCHAR(20) DEFAULT 'pending' NOT NULL, 
	model VARCHAR(100), 
	payload_class VARCHAR(20), 
	method VARCHAR(20), 
	input_tokens BIGINT, 
	limit_tokens BIGINT, 
	max_tokens BIGINT, 
	worst_case_usd NUMERIC(20, 9) GENERATED ALWAYS AS (worst_case_nano_usd / 1000000000.0) STORED, 
	limit_usd NUMERIC(20, 9) GENERATED ALWAYS AS (limit_nano_usd / 1000000000.0) STORED, 
	group_name VARCHAR(100), 
	created_at DATETIME NOT NULL, 
	claimed_by VARCHAR(100), 
	claimed_at DATETIME, 
	decided_by VARCHAR(100), 
	decided_at DATETIME, 
	note TEXT, 
	ceiling_tokens BIGINT, 
	ceiling_usd NUMERIC(20, 9) GENERATED ALWAYS AS (ceiling_nano_usd / 1000000000.0) STORED, 
	expires_at DATETIME, 
	sent_run_id VARCHAR(64), 
	sent_attempt_id VARCHAR(64), 
	version BIGINT DEFAULT '1' NOT NULL, 
	worst_case_nano_usd BIGINT, 
	limit_nano_usd BIGINT, 
	ceiling_nano_usd BIGINT, 
	pinned_model VARCHAR(100), 
	priority BIGINT DEFAULT '0' NOT NULL, 
	row_number BIGINT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	edited_fingerprint VARCHAR(64), 
	CONSTRAINT pk_reviews PRIMARY KEY (id), 
	CONSTRAINT ck_reviews_status_is_known CHECK (status IN ('pending', 'claimed', 'approved', 'rejected', 'edited', 'sent', 'expired')), 
	CONSTRAINT ck_reviews_a_decision_has_a_name CHECK (NOT (status IN ('approved', 'rejected', 'edited')) OR (decided_by IS NOT NULL AND trim(decided_by) <> '')), 
	CONSTRAINT ck_reviews_a_claim_has_a_name CHECK (status <> 'claimed' OR (claimed_by IS NOT NULL AND trim(claimed_by) <> '')), 
	CONSTRAINT ck_reviews_an_edit_has_a_payload CHECK (status <> 'edited' OR edited_fingerprint IS NOT NULL), 
	CONSTRAINT ck_reviews_ceilings_are_not_negative CHECK (ceiling_nano_usd >= 0 AND ceiling_tokens >= 0), 
	CONSTRAINT fk_reviews_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT uq_reviews_job_id_fingerprint UNIQUE (job_id, fingerprint)
);

CREATE TABLE review_payloads (
	review_id INTEGER NOT NULL, 
	payload TEXT, 
	edited_payload TEXT, 
	CONSTRAINT pk_review_payloads PRIMARY KEY (review_id), 
	CONSTRAINT fk_review_payloads_review_id FOREIGN KEY(review_id) REFERENCES reviews (id) ON DELETE CASCADE
);

CREATE INDEX ix_reviews_run_id ON reviews (run_id);

CREATE INDEX ix_reviews_fingerprint ON reviews (fingerprint);

CREATE INDEX ix_reviews_status ON reviews (status);

CREATE TABLE review_events (
	id INTEGER NOT NULL, 
	review_id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	changed_by VARCHAR(100), 
	from_status VARCHAR(20), 
	to_status VARCHAR(20) NOT NULL, 
	note TEXT, 
	ceiling_tokens BIGINT, 
	ceiling_nano_usd BIGINT, 
	CONSTRAINT pk_review_events PRIMARY KEY (id)
);

CREATE INDEX ix_review_events_review_id ON review_events (review_id);

CREATE VIEW reconciliation AS
SELECT run_id, job_id, group_name, model, payload_class, method,
       input_tokens AS estimated_input_tokens,
       actual_input_tokens,
       CASE WHEN coalesce(billing, 'full') = 'full' THEN actual_input_tokens - input_tokens END AS error_tokens,
       CASE WHEN coalesce(billing, 'full') = 'full' AND input_tokens > 0
            THEN round((actual_input_tokens - input_tokens) * 100.0 / input_tokens, 3) END AS error_percent,
       actual_output_tokens,
       thinking_tokens,
       service_tier,
       coalesce(billing, 'full') AS billing,
       expected_nano_usd / 1000000000.0 AS estimated_usd,
       expected_low_nano_usd / 1000000000.0 AS estimated_low_usd,
       expected_high_nano_usd / 1000000000.0 AS estimated_high_usd,
       worst_case_nano_usd / 1000000000.0 AS worst_case_usd,
       actual_nano_usd / 1000000000.0 AS actual_usd,
       expected_nano_usd AS estimated_nano_usd,
       worst_case_nano_usd,
       actual_nano_usd,
       attempt_id
FROM attempts
WHERE state = 'succeeded';

CREATE TRIGGER reviews_first_event AFTER INSERT ON reviews BEGIN INSERT INTO review_events (review_id, at, changed_by, from_status, to_status, note, ceiling_tokens, ceiling_nano_usd) VALUES (NEW.id, strftime('%Y-%m-%d %H:%M:%f000', 'now'), NEW.run_id, NULL, NEW.status, NULL, NULL, NULL); END;

CREATE TRIGGER reviews_rules AFTER UPDATE ON reviews WHEN NEW.status IS NOT OLD.status OR NEW.version IS NOT OLD.version OR NEW.claimed_by IS NOT OLD.claimed_by OR NEW.decided_by IS NOT OLD.decided_by OR NEW.note IS NOT OLD.note OR NEW.ceiling_tokens IS NOT OLD.ceiling_tokens OR NEW.ceiling_nano_usd IS NOT OLD.ceiling_nano_usd OR NEW.expires_at IS NOT OLD.expires_at OR NEW.edited_fingerprint IS NOT OLD.edited_fingerprint OR NEW.reason IS NOT OLD.reason OR NEW.detail IS NOT OLD.detail OR NEW.model IS NOT OLD.model OR NEW.method IS NOT OLD.method OR NEW.max_tokens IS NOT OLD.max_tokens OR NEW.input_tokens IS NOT OLD.input_tokens OR NEW.limit_tokens IS NOT OLD.limit_tokens OR NEW.worst_case_nano_usd IS NOT OLD.worst_case_nano_usd OR NEW.limit_nano_usd IS NOT OLD.limit_nano_usd BEGIN SELECT CASE WHEN ((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected') AND trim(coalesce(NEW.decided_by, '')) = '' THEN RAISE(ABORT, 'A decision needs the name of who decides: set decided_by in the same statement.') WHEN NEW.status = 'claimed' AND trim(coalesce(NEW.claimed_by, '')) = '' THEN RAISE(ABORT, 'A claim needs the name of who claims: set claimed_by in the same statement.') WHEN ((OLD.status = 'approved' OR OLD.status = 'edited') OR OLD.status = 'rejected') AND ((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected') AND NEW.decided_by IS NOT OLD.decided_by THEN RAISE(ABORT, 'This review is decided already, by somebody else; to open it again, set status = ''pending'' first.') WHEN OLD.status = 'claimed' AND ((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected') AND NEW.decided_by IS NOT OLD.claimed_by THEN RAISE(ABORT, 'This review is claimed by somebody else; only who claimed it decides. To take it over, set claimed_by first.') WHEN ((OLD.status = 'approved' OR OLD.status = 'edited') AND NEW.status IN ('claimed', 'edited') AND NEW.status <> OLD.status) OR (OLD.status = 'rejected' AND NEW.status NOT IN ('rejected', 'pending')) THEN RAISE(ABORT, 'This review is decided already; to open it again, set status = ''pending'' first.') WHEN OLD.status = 'sent' AND NEW.status NOT IN ('sent', 'pending') THEN RAISE(ABORT, 'This job was sent; its review can only be opened again, with status = ''pending''.') WHEN OLD.status = 'expired' AND NEW.status IN ('claimed', 'sent') THEN RAISE(ABORT, 'This approval has expired; decide anew, or set status = ''pending'' first.') WHEN (NEW.status = 'approved' OR NEW.status = 'edited') AND NEW.worst_case_nano_usd IS NULL THEN RAISE(ABORT, 'This review has no worst case (see its reason and would_pass): what nobody can price is not sent.') WHEN NOT (((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected')) AND NEW.status = OLD.status AND ((NEW.decided_by IS NOT NULL AND NEW.decided_by IS NOT OLD.decided_by) OR (NEW.ceiling_nano_usd IS NOT NULL AND NEW.ceiling_nano_usd IS NOT OLD.ceiling_nano_usd) OR (NEW.ceiling_tokens IS NOT NULL AND NEW.ceiling_tokens IS NOT OLD.ceiling_tokens)) THEN RAISE(ABORT, 'A name and a ceiling belong to a decision: set status in the same statement.') WHEN NEW.edited_fingerprint IS NOT OLD.edited_fingerprint AND (NEW.status = 'approved' OR NEW.status = 'edited') AND (NEW.status = 'approved' OR (OLD.status = 'approved' OR OLD.status = 'edited')) THEN RAISE(ABORT, 'An edited payload belongs to the decision ''edited'': set status in the same statement.') END; INSERT INTO review_events (review_id, at, changed_by, from_status, to_status, note, ceiling_tokens, ceiling_nano_usd) VALUES (OLD.id, strftime('%Y-%m-%d %H:%M:%f000', 'now'), CASE WHEN NEW.status IN ('pending', 'claimed') AND NEW.run_id <> OLD.run_id THEN NEW.run_id WHEN NEW.status = 'claimed' THEN NEW.claimed_by WHEN ((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected') THEN NEW.decided_by WHEN NEW.status = 'sent' THEN coalesce(NEW.sent_run_id, NEW.run_id) WHEN NEW.status = 'pending' THEN coalesce(NEW.decided_by, NEW.claimed_by) END, OLD.status, NEW.status, CASE WHEN NEW.note IS NOT OLD.note THEN NEW.note END, CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') THEN coalesce(NEW.ceiling_tokens, NEW.input_tokens) WHEN NEW.status = 'sent' THEN NEW.ceiling_tokens END, CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') THEN coalesce(NEW.ceiling_nano_usd, NEW.worst_case_nano_usd) WHEN NEW.status = 'sent' THEN NEW.ceiling_nano_usd END); UPDATE reviews SET version = OLD.version + 1, claimed_by = CASE WHEN NEW.status = 'pending' THEN NULL ELSE NEW.claimed_by END, claimed_at = CASE WHEN NEW.status = 'pending' THEN NULL WHEN NEW.status = 'claimed' AND NEW.claimed_at IS OLD.claimed_at AND (OLD.status <> 'claimed' OR NEW.claimed_by IS NOT OLD.claimed_by) THEN strftime('%Y-%m-%d %H:%M:%f000', 'now') ELSE NEW.claimed_at END, decided_by = CASE WHEN NEW.status IN ('pending', 'claimed') THEN NULL ELSE NEW.decided_by END, decided_at = CASE WHEN NEW.status IN ('pending', 'claimed') THEN NULL WHEN ((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected') AND NEW.decided_at IS OLD.decided_at THEN strftime('%Y-%m-%d %H:%M:%f000', 'now') ELSE NEW.decided_at END, ceiling_nano_usd = CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') THEN coalesce(NEW.ceiling_nano_usd, NEW.worst_case_nano_usd) WHEN NEW.status = 'sent' THEN NEW.ceiling_nano_usd END, ceiling_tokens = CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') THEN coalesce(NEW.ceiling_tokens, NEW.input_tokens) WHEN NEW.status = 'sent' THEN NEW.ceiling_tokens END, expires_at = CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') AND (NEW.expires_at IS NULL OR (OLD.status = 'expired' AND NEW.expires_at IS OLD.expires_at)) THEN strftime('%Y-%m-%d %H:%M:%f000', 'now', '+14 days') WHEN (NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status IN ('sent', 'expired') THEN NEW.expires_at END WHERE id = NEW.id AND (NEW.version IS NOT (OLD.version + 1) OR NEW.claimed_by IS NOT (CASE WHEN NEW.status = 'pending' THEN NULL ELSE NEW.claimed_by END) OR NEW.claimed_at IS NOT (CASE WHEN NEW.status = 'pending' THEN NULL WHEN NEW.status = 'claimed' AND NEW.claimed_at IS OLD.claimed_at AND (OLD.status <> 'claimed' OR NEW.claimed_by IS NOT OLD.claimed_by) THEN strftime('%Y-%m-%d %H:%M:%f000', 'now') ELSE NEW.claimed_at END) OR NEW.decided_by IS NOT (CASE WHEN NEW.status IN ('pending', 'claimed') THEN NULL ELSE NEW.decided_by END) OR NEW.decided_at IS NOT (CASE WHEN NEW.status IN ('pending', 'claimed') THEN NULL WHEN ((NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status = 'rejected') AND NEW.decided_at IS OLD.decided_at THEN strftime('%Y-%m-%d %H:%M:%f000', 'now') ELSE NEW.decided_at END) OR NEW.ceiling_nano_usd IS NOT (CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') THEN coalesce(NEW.ceiling_nano_usd, NEW.worst_case_nano_usd) WHEN NEW.status = 'sent' THEN NEW.ceiling_nano_usd END) OR NEW.ceiling_tokens IS NOT (CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') THEN coalesce(NEW.ceiling_tokens, NEW.input_tokens) WHEN NEW.status = 'sent' THEN NEW.ceiling_tokens END) OR NEW.expires_at IS NOT (CASE WHEN (NEW.status = 'approved' OR NEW.status = 'edited') AND (NEW.expires_at IS NULL OR (OLD.status = 'expired' AND NEW.expires_at IS OLD.expires_at)) THEN strftime('%Y-%m-%d %H:%M:%f000', 'now', '+14 days') WHEN (NEW.status = 'approved' OR NEW.status = 'edited') OR NEW.status IN ('sent', 'expired') THEN NEW.expires_at END)); END;

CREATE VIEW reviews_pending AS
SELECT id, job_id, group_name, reason, detail, would_pass, model, input_tokens, limit_tokens, worst_case_usd,
       limit_usd, created_at AS waiting_since, run_id
FROM reviews WHERE status = 'pending';

CREATE VIEW spend_today AS
SELECT scope, period, CASE group_name WHEN '' THEN 'all' ELSE group_name END AS group_name,
       settled_nano_usd / 1000000000.0 AS settled_usd,
       held_nano_usd / 1000000000.0 AS held_usd,
       cap_nano_usd / 1000000000.0 AS cap_usd,
       (cap_nano_usd - settled_nano_usd - held_nano_usd) / 1000000000.0 AS left_usd
FROM budgets
WHERE (scope = 'day' AND period = (SELECT max(period) FROM budgets WHERE scope = 'day' AND period >= date('now', '-1 day')))
   OR (scope = 'month' AND period = substr((SELECT max(period) FROM budgets WHERE scope = 'day' AND period >= date('now', '-1 day')), 1, 7));

CREATE INDEX ix_attempts_run_id_row_number ON attempts (run_id, row_number);

CREATE UNIQUE INDEX uq_attempts_live ON attempts (fingerprint, job_id, model) WHERE state IN ('open', 'succeeded');

CREATE INDEX ix_attempts_answered ON attempts (job_id) WHERE state = 'succeeded';

CREATE TABLE quotes (
	quote_id VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	jobs_path TEXT NOT NULL, 
	jobs_digest VARCHAR(64) NOT NULL, 
	policy_digest VARCHAR(64) NOT NULL, 
	prices_digest VARCHAR(64) NOT NULL, 
	mode VARCHAR(20) NOT NULL, 
	simulated BOOLEAN NOT NULL, 
	jobs BIGINT NOT NULL, 
	expected_nano_usd BIGINT NOT NULL, 
	p10_nano_usd BIGINT NOT NULL, 
	p90_nano_usd BIGINT NOT NULL, 
	worst_case_nano_usd BIGINT NOT NULL, 
	report JSON NOT NULL, 
	CONSTRAINT pk_quotes PRIMARY KEY (quote_id)
);

CREATE TABLE fitted_jobs (
	run_id VARCHAR(64) NOT NULL, 
	row_number BIGINT NOT NULL, 
	how VARCHAR(20) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	model_before VARCHAR(100) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	turns_before BIGINT NOT NULL, 
	turns BIGINT NOT NULL, 
	input_tokens_before BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	expected_before_nano_usd BIGINT, 
	expected_nano_usd BIGINT NOT NULL, 
	CONSTRAINT pk_fitted_jobs PRIMARY KEY (run_id, row_number)
);

CREATE INDEX ix_attempts_observed ON attempts (model, payload_class, effort, ended_at) WHERE state = 'succeeded';

CREATE TABLE cost_shares (
	attempt_id VARCHAR(64) NOT NULL, 
	group_name VARCHAR(100) NOT NULL, 
	jobs INTEGER NOT NULL, 
	CONSTRAINT pk_cost_shares PRIMARY KEY (attempt_id, group_name)
);

CREATE TABLE shared_answers (
	job_id TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	attempt_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_shared_answers PRIMARY KEY (job_id, fingerprint, attempt_id)
);

CREATE INDEX ix_shared_answers_attempt_id ON shared_answers (attempt_id);

CREATE INDEX ix_jobs_shares ON jobs (run_id, shares_with_row) WHERE shares_with_row IS NOT NULL;

CREATE TABLE cache_prefixes (
	run_id VARCHAR(64) NOT NULL, 
	prefix_key VARCHAR(64) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	ends_at VARCHAR(40) NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	jobs BIGINT NOT NULL, 
	prime_ttl VARCHAR(2) NOT NULL, 
	ttl VARCHAR(2) NOT NULL, 
	low_nano_usd BIGINT NOT NULL, 
	high_nano_usd BIGINT NOT NULL, 
	CONSTRAINT pk_cache_prefixes PRIMARY KEY (run_id, prefix_key)
);

CREATE INDEX ix_jobs_queue ON jobs (run_id, priority DESC, prefix_key, row_number) WHERE outcome IS NULL AND attempt_id IS NULL AND shares_with_row IS NULL;

CREATE INDEX ix_jobs_rejected ON jobs (fingerprint) WHERE outcome = 'rejected' AND fingerprint IS NOT NULL;

CREATE TABLE allowances (
	account TEXT NOT NULL, 
	limit_name VARCHAR(150) NOT NULL, 
	next_turn_us BIGINT NOT NULL, 
	paused_until_us BIGINT NOT NULL, 
	stated JSON NOT NULL, 
	taken JSON NOT NULL, 
	holdings JSON NOT NULL, 
	CONSTRAINT pk_allowances PRIMARY KEY (account, limit_name)
);

CREATE TABLE day_zones (
	id INTEGER NOT NULL, 
	time_zone VARCHAR(100) NOT NULL, 
	since DATETIME NOT NULL, 
	CONSTRAINT pk_day_zones PRIMARY KEY (id)
);

CREATE INDEX ix_runs_reading_digest ON runs (reading_digest) WHERE reading_digest IS NOT NULL;

INSERT INTO alembic_version VALUES ('0021');


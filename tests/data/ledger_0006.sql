-- A ledger as the version with migration 0006 left it: a run that ended, a run in batches, a run that was killed;
-- the rows they read are in ledger_0006_rows.json. Host, folder and the end of an approval are not the real ones.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
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
	error TEXT, batch_id VARCHAR(64), payload_class VARCHAR(20) DEFAULT 'text' NOT NULL, method VARCHAR(20) DEFAULT 'counted' NOT NULL, expected_low_nano_usd BIGINT, expected_high_nano_usd BIGINT, cache_write_1h_tokens BIGINT, thinking_tokens BIGINT, web_searches BIGINT, service_tier VARCHAR(40), inference_geo VARCHAR(40), billing VARCHAR(20), 
	CONSTRAINT pk_attempts PRIMARY KEY (attempt_id), 
	CONSTRAINT ck_attempts_an_ended_attempt_holds_nothing CHECK (held_nano_usd = 0 OR state IN ('open', 'unknown')), 
	CONSTRAINT ck_attempts_state_is_known CHECK (state IN ('open', 'succeeded', 'failed', 'unknown')), 
	CONSTRAINT fk_attempts_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
INSERT INTO "attempts" VALUES('att_351766c306ab4585b5b5273dd56d0b1d','run-20261126T202933-147223',0,'day-0','68a9a24eb4a0e706050e9bcba1f82db19680ad3db46952e019962c2f78537670','blue','2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:29:35.830006','2026-11-26 20:29:35.944230','2026-11-26 20:29:35.977764',1,22,0,0,5,4700,'{"input_tokens": 22, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 1}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_49953859f87500000009',NULL,NULL,'text','counted',NULL,NULL,0,1,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_433e9eb0578141a5bee8da218264d840','run-20261126T202933-147223',1,'day-1','8db76d9f19a9bd6b7e0ef4d83c3a6265ed07b4c7fd61022d8b320f3d7272f708','red','2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:29:35.830006','2026-11-26 20:29:35.944236','2026-11-26 20:29:35.977764',1,10,0,0,6,4000,'{"input_tokens": 10, "output_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 0}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_49953859f87500000010',NULL,NULL,'text','counted',NULL,NULL,0,0,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_61e095e98f23473b955944034699ed71','run-20261126T202933-147223',2,'day-2','e54a538f49710fc9c1aa2e3ae91fb79595631a6e6689139a30fb94ebaeb13957','blue','2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:29:35.830006','2026-11-26 20:29:35.944237','2026-11-26 20:29:35.977764',1,8,0,0,7,4300,'{"input_tokens": 8, "output_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 1}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_49953859f87500000011',NULL,NULL,'text','counted',NULL,NULL,0,1,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_06c46adffa3b43d3b34e332018ee08dd','run-20261126T202933-147223',3,'day-3','ef8b66c778823a812d3bd026322fb26c22b767c8492065cc9bcbc38a3fdaf8e2','red','2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:29:35.830006','2026-11-26 20:29:35.975087','2026-11-26 20:29:36.023812',1,8,0,0,8,4800,'{"input_tokens": 8, "output_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 1}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_49953859f87500000012',NULL,NULL,'text','counted',NULL,NULL,0,1,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_cdb4b5b663164e01a59256f7e5161339','run-20261126T202933-147223',7,'lost','7a320e8babf7e0a581f63b9cae76627ee9c74a0861e5a7f90029274cc93fb2a5',NULL,'2026-11-26','claude-haiku-5-5','unknown',17,37,60,9200,33700,33700,'2026-11-26 20:29:35.830006','2026-11-26 20:29:35.975093','2026-11-26 20:29:36.023812',1,NULL,NULL,NULL,NULL,NULL,'null',NULL,NULL,'the connection was lost or timed out after the request left (ConnectError); it may have been billed, so its hold stays until a person decides',NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'partial');
INSERT INTO "attempts" VALUES('att_2c8eeb18d6b545bc8b8ccd1493eb5670','run-20261126T203010-94bb7e',0,'batched-0','4dbcde3dcd0680b5cc049d15a64cce8b068c1cca624658d64777e67b794f1e55',NULL,'2026-11-26','claude-haiku-5-5','succeeded',15,35,60,4500,16750,0,'2026-11-26 20:30:13.763197','2026-11-26 20:30:13.895681','2026-11-26 20:30:14.426599',1,12,0,0,7,2350,'{"input_tokens": 12, "output_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 0}, "server_tool_use": null, "service_tier": "batch", "inference_geo": "global", "speed": "standard"}','end_turn',NULL,NULL,'bat_d7b1f642a80942348af9261a6c8801e2','text','counted',NULL,NULL,0,0,0,'batch','global','full');
INSERT INTO "attempts" VALUES('att_1fd117ffd237402cbfac4f8bb8d2b81d','run-20261126T203010-94bb7e',1,'batched-1','8200ebbca08b216d0eab64e142b52a09771ab07adc578299c0e767228ad28774',NULL,'2026-11-26','claude-haiku-5-5','succeeded',15,35,60,4500,16750,0,'2026-11-26 20:30:13.763197','2026-11-26 20:30:13.895681','2026-11-26 20:30:14.426599',1,12,0,0,8,2600,'{"input_tokens": 12, "output_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 1}, "server_tool_use": null, "service_tier": "batch", "inference_geo": "global", "speed": "standard"}','end_turn',NULL,NULL,'bat_d7b1f642a80942348af9261a6c8801e2','text','counted',NULL,NULL,0,1,0,'batch','global','full');
INSERT INTO "attempts" VALUES('att_03cd1cf1f8e5418eab31daa633e3fae8','run-20261126T203010-94bb7e',2,'batched-2','460a46b030c6271a22d48420ff573e742165130c614af300a2459065d480bda8',NULL,'2026-11-26','claude-haiku-5-5','succeeded',15,35,60,4500,16750,0,'2026-11-26 20:30:13.763197','2026-11-26 20:30:13.895681','2026-11-26 20:30:14.426599',1,21,0,0,9,3300,'{"input_tokens": 21, "output_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 2}, "server_tool_use": null, "service_tier": "batch", "inference_geo": "global", "speed": "standard"}','end_turn',NULL,NULL,'bat_d7b1f642a80942348af9261a6c8801e2','text','counted',NULL,NULL,0,2,0,'batch','global','full');
INSERT INTO "attempts" VALUES('att_5c8384d803a3404d86efa698fffdeabd','run-20261126T203109-9b2457',0,'cut-0','9ba92621f92bcb2fb5fe0dfa183ffb0ea51de6a5cdb076cf139acb30b274520f',NULL,'2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:31:11.923498','2026-11-26 20:31:12.048524','2026-11-26 20:31:13.600437',1,9,0,0,6,3900,'{"input_tokens": 9, "output_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 0}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_e5cfb2dff4c700000955',NULL,NULL,'text','counted',NULL,NULL,0,0,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_cc957ec8f0bb49879e119bd34353008e','run-20261126T203109-9b2457',1,'cut-1','d1bb6ab81a8aa2943bab9eb380e9ea170f18c92e783741bd693f392c9ea1de11',NULL,'2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:31:11.923498','2026-11-26 20:31:12.048529','2026-11-26 20:31:13.600437',1,18,0,0,6,4800,'{"input_tokens": 18, "output_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 0}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_e5cfb2dff4c700000956',NULL,NULL,'text','counted',NULL,NULL,0,0,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_4314ac74afd74f8baf1037eb0f94a423','run-20261126T203109-9b2457',2,'cut-2','0e9d3ee8055f18e5dca866fda71a372e16f1d34d4140c6517fe760402ab3ae8b',NULL,'2026-11-26','claude-haiku-5-5','succeeded',15,35,60,9000,33500,0,'2026-11-26 20:31:11.923498','2026-11-26 20:31:12.048529','2026-11-26 20:31:13.600437',1,12,0,0,6,4200,'{"input_tokens": 12, "output_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 0}, "server_tool_use": null, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}','end_turn','req_sim_e5cfb2dff4c700000957',NULL,NULL,'text','counted',NULL,NULL,0,0,0,'standard','global','full');
INSERT INTO "attempts" VALUES('att_7390ef0013684dbfb4d2f696b09de9af','run-20261126T203109-9b2457',3,'cut-3','769c12b02a6eb98dc67781d07292b1806dcac905d062295494de9315a775c5ea',NULL,'2026-11-26','claude-haiku-5-5','open',15,35,60,9000,33500,33500,'2026-11-26 20:31:11.923498','2026-11-26 20:31:13.594791',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('att_ddb10ee53556454cb681331592dadad4','run-20261126T203109-9b2457',4,'cut-4','c60487286e3d55c554080229b7378c5ed8811034eca73b9f9858fddc9f3081a8',NULL,'2026-11-26','claude-haiku-5-5','open',15,35,60,9000,33500,33500,'2026-11-26 20:31:11.923498','2026-11-26 20:31:13.629593',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('att_716598682d9b4299b3f0abe550862349','run-20261126T203109-9b2457',5,'cut-5','cd932957156e68f3771bf1af2a077c461f87cf0a79a69a1bf16d6317a68ba24b',NULL,'2026-11-26','claude-haiku-5-5','open',15,35,60,9000,33500,33500,'2026-11-26 20:31:11.923498','2026-11-26 20:31:13.629598',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('att_165e5e76027849cd9df505a83f30e2c2','run-20261126T203109-9b2457',6,'cut-6','48484d302d2f622f5feff62651b937b8edc161411c77ce75a3fb2f05c08c02b8',NULL,'2026-11-26','claude-haiku-5-5','open',15,35,60,9000,33500,33500,'2026-11-26 20:31:11.923498',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('att_276c6a4cec6a4be88b8da650617ed32a','run-20261126T203109-9b2457',7,'cut-7','ecc64079bdd1729992ac8df1123f2bbeb9c6cf2f859497b5c2ed0446d55bf40f',NULL,'2026-11-26','claude-haiku-5-5','open',15,35,60,9000,33500,33500,'2026-11-26 20:31:11.923498',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES('att_4a6f986c85d643f697be2e736c0dc306','run-20261126T203109-9b2457',8,'cut-8','135d8b9670733394589238db20edfd63e746cdb7d193f2200bc0cc1347b69092',NULL,'2026-11-26','claude-haiku-5-5','open',15,35,60,9000,33500,33500,'2026-11-26 20:31:11.923498',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'text','counted',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
	detail TEXT, 
	CONSTRAINT pk_batches PRIMARY KEY (batch_id), 
	CONSTRAINT ck_batches_state_is_known CHECK (state IN ('prepared', 'submitted', 'ended', 'absent')), 
	CONSTRAINT fk_batches_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT uq_batches_provider_batch_id UNIQUE (provider_batch_id)
);
INSERT INTO "batches" VALUES('bat_d7b1f642a80942348af9261a6c8801e2','run-20261126T203010-94bb7e','msgbatch_sim_e88998a4e94300000001','ended',3,563,'2026-11-26 20:30:13.895681',NULL,'2026-11-26 20:30:13.977647','2026-11-27 20:30:13.957612','2026-11-26 20:30:14.511216','{"canceled": 0, "errored": 0, "expired": 0, "processing": 0, "succeeded": 3}',NULL);
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
INSERT INTO "budgets" VALUES('run','run-20261126T202933-147223','',10000000000,33700,17800);
INSERT INTO "budgets" VALUES('day','2026-11-26','',100000000000,234700,38950);
INSERT INTO "budgets" VALUES('month','2026-11','',NULL,234700,38950);
INSERT INTO "budgets" VALUES('run','run-20261126T202933-147223','blue',NULL,0,9000);
INSERT INTO "budgets" VALUES('day','2026-11-26','blue',NULL,0,9000);
INSERT INTO "budgets" VALUES('month','2026-11','blue',NULL,0,9000);
INSERT INTO "budgets" VALUES('run','run-20261126T202933-147223','red',NULL,0,8800);
INSERT INTO "budgets" VALUES('day','2026-11-26','red',NULL,0,8800);
INSERT INTO "budgets" VALUES('month','2026-11','red',NULL,0,8800);
INSERT INTO "budgets" VALUES('run','run-20261126T203010-94bb7e','',10000000000,0,8250);
INSERT INTO "budgets" VALUES('run','run-20261126T203109-9b2457','',10000000000,201000,12900);
CREATE TABLE counts (
	fingerprint VARCHAR(64) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	method VARCHAR(20) NOT NULL, 
	counted_at DATETIME NOT NULL, 
	CONSTRAINT pk_counts PRIMARY KEY (fingerprint, model)
);
INSERT INTO "counts" VALUES('e54a538f49710fc9c1aa2e3ae91fb79595631a6e6689139a30fb94ebaeb13957','claude-haiku-5-5',15,'counted','2026-11-26 20:29:34.983595');
INSERT INTO "counts" VALUES('ef8b66c778823a812d3bd026322fb26c22b767c8492065cc9bcbc38a3fdaf8e2','claude-haiku-5-5',15,'counted','2026-11-26 20:29:34.992343');
INSERT INTO "counts" VALUES('68a9a24eb4a0e706050e9bcba1f82db19680ad3db46952e019962c2f78537670','claude-haiku-5-5',15,'counted','2026-11-26 20:29:34.986463');
INSERT INTO "counts" VALUES('8db76d9f19a9bd6b7e0ef4d83c3a6265ed07b4c7fd61022d8b320f3d7272f708','claude-haiku-5-5',15,'counted','2026-11-26 20:29:34.992208');
INSERT INTO "counts" VALUES('7a320e8babf7e0a581f63b9cae76627ee9c74a0861e5a7f90029274cc93fb2a5','claude-haiku-5-5',17,'counted','2026-11-26 20:29:35.058477');
INSERT INTO "counts" VALUES('166b9fb2ae698087e26c07d65f5abfd10b0080139bfad8a63032af23ac302cb4','claude-haiku-5-5',59,'counted','2026-11-26 20:29:35.058380');
INSERT INTO "counts" VALUES('2099bb7d76fd5d205bc6ba507eacd7cfd582c54de8060895a8167a06d2573550','claude-haiku-5-5',59,'counted','2026-11-26 20:29:35.056754');
INSERT INTO "counts" VALUES('4dbcde3dcd0680b5cc049d15a64cce8b068c1cca624658d64777e67b794f1e55','claude-haiku-5-5',15,'counted','2026-11-26 20:30:12.814701');
INSERT INTO "counts" VALUES('8200ebbca08b216d0eab64e142b52a09771ab07adc578299c0e767228ad28774','claude-haiku-5-5',15,'counted','2026-11-26 20:30:12.822918');
INSERT INTO "counts" VALUES('460a46b030c6271a22d48420ff573e742165130c614af300a2459065d480bda8','claude-haiku-5-5',15,'counted','2026-11-26 20:30:12.816923');
INSERT INTO "counts" VALUES('d1bb6ab81a8aa2943bab9eb380e9ea170f18c92e783741bd693f392c9ea1de11','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.100272');
INSERT INTO "counts" VALUES('9ba92621f92bcb2fb5fe0dfa183ffb0ea51de6a5cdb076cf139acb30b274520f','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.102636');
INSERT INTO "counts" VALUES('0e9d3ee8055f18e5dca866fda71a372e16f1d34d4140c6517fe760402ab3ae8b','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.102417');
INSERT INTO "counts" VALUES('769c12b02a6eb98dc67781d07292b1806dcac905d062295494de9315a775c5ea','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.102572');
INSERT INTO "counts" VALUES('c60487286e3d55c554080229b7378c5ed8811034eca73b9f9858fddc9f3081a8','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.233419');
INSERT INTO "counts" VALUES('cd932957156e68f3771bf1af2a077c461f87cf0a79a69a1bf16d6317a68ba24b','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.274894');
INSERT INTO "counts" VALUES('48484d302d2f622f5feff62651b937b8edc161411c77ce75a3fb2f05c08c02b8','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.340574');
INSERT INTO "counts" VALUES('ecc64079bdd1729992ac8df1123f2bbeb9c6cf2f859497b5c2ed0446d55bf40f','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.349790');
INSERT INTO "counts" VALUES('135d8b9670733394589238db20edfd63e746cdb7d193f2200bc0cc1347b69092','claude-haiku-5-5',15,'counted','2026-11-26 20:31:11.374475');
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
	attempt_id VARCHAR(64), traits JSON, review_id INTEGER, ceiling_tokens BIGINT, ceiling_nano_usd BIGINT, 
	CONSTRAINT pk_jobs PRIMARY KEY (run_id, row_number), 
	CONSTRAINT fk_jobs_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',0,'day-0','68a9a24eb4a0e706050e9bcba1f82db19680ad3db46952e019962c2f78537670','blue',0,NULL,60,NULL,NULL,NULL,94,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_351766c306ab4585b5b5273dd56d0b1d','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',1,'day-1','8db76d9f19a9bd6b7e0ef4d83c3a6265ed07b4c7fd61022d8b320f3d7272f708','red',0,NULL,60,NULL,NULL,NULL,94,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_433e9eb0578141a5bee8da218264d840','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',2,'day-2','e54a538f49710fc9c1aa2e3ae91fb79595631a6e6689139a30fb94ebaeb13957','blue',0,NULL,60,NULL,NULL,NULL,94,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_61e095e98f23473b955944034699ed71','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',3,'day-3','ef8b66c778823a812d3bd026322fb26c22b767c8492065cc9bcbc38a3fdaf8e2','red',0,NULL,60,NULL,NULL,NULL,94,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_06c46adffa3b43d3b34e332018ee08dd','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',4,'heavy','2099bb7d76fd5d205bc6ba507eacd7cfd582c54de8060895a8167a06d2573550',NULL,0,NULL,60,10,NULL,NULL,271,'claude-haiku-5-5',59,'counted',13400,37900,'review','review','over_input_limit','59 input tokens counted, limit 10',NULL,'{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',5,'light','166b9fb2ae698087e26c07d65f5abfd10b0080139bfad8a63032af23ac302cb4',NULL,0,NULL,60,10,NULL,NULL,271,'claude-haiku-5-5',59,'counted',13400,37900,'review','review','over_input_limit','59 input tokens counted, limit 10',NULL,'{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',7,'lost','7a320e8babf7e0a581f63b9cae76627ee9c74a0861e5a7f90029274cc93fb2a5',NULL,0,NULL,60,NULL,NULL,NULL,101,'claude-haiku-5-5',17,'counted',9200,33700,'send','unknown','unknown_outcome','the connection was lost or timed out after the request left (ConnectError); it may have been billed, so its hold stays until a person decides','att_cdb4b5b663164e01a59256f7e5161339','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T202933-147223',6,'broken',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'reject','rejected','invalid_row','max_tokens: is 0, must be at least 1',NULL,'null',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203010-94bb7e',0,'batched-0','4dbcde3dcd0680b5cc049d15a64cce8b068c1cca624658d64777e67b794f1e55',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',4500,16750,'send','succeeded',NULL,NULL,'att_2c8eeb18d6b545bc8b8ccd1493eb5670','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203010-94bb7e',1,'batched-1','8200ebbca08b216d0eab64e142b52a09771ab07adc578299c0e767228ad28774',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',4500,16750,'send','succeeded',NULL,NULL,'att_1fd117ffd237402cbfac4f8bb8d2b81d','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203010-94bb7e',2,'batched-2','460a46b030c6271a22d48420ff573e742165130c614af300a2459065d480bda8',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',4500,16750,'send','succeeded',NULL,NULL,'att_03cd1cf1f8e5418eab31daa633e3fae8','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',0,'cut-0','9ba92621f92bcb2fb5fe0dfa183ffb0ea51de6a5cdb076cf139acb30b274520f',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_5c8384d803a3404d86efa698fffdeabd','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',1,'cut-1','d1bb6ab81a8aa2943bab9eb380e9ea170f18c92e783741bd693f392c9ea1de11',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_cc957ec8f0bb49879e119bd34353008e','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',2,'cut-2','0e9d3ee8055f18e5dca866fda71a372e16f1d34d4140c6517fe760402ab3ae8b',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send','succeeded',NULL,NULL,'att_4314ac74afd74f8baf1037eb0f94a423','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',3,'cut-3','769c12b02a6eb98dc67781d07292b1806dcac905d062295494de9315a775c5ea',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send',NULL,NULL,NULL,'att_7390ef0013684dbfb4d2f696b09de9af','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',4,'cut-4','c60487286e3d55c554080229b7378c5ed8811034eca73b9f9858fddc9f3081a8',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send',NULL,NULL,NULL,'att_ddb10ee53556454cb681331592dadad4','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',5,'cut-5','cd932957156e68f3771bf1af2a077c461f87cf0a79a69a1bf16d6317a68ba24b',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send',NULL,NULL,NULL,'att_716598682d9b4299b3f0abe550862349','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',6,'cut-6','48484d302d2f622f5feff62651b937b8edc161411c77ce75a3fb2f05c08c02b8',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send',NULL,NULL,NULL,'att_165e5e76027849cd9df505a83f30e2c2','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',7,'cut-7','ecc64079bdd1729992ac8df1123f2bbeb9c6cf2f859497b5c2ed0446d55bf40f',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send',NULL,NULL,NULL,'att_276c6a4cec6a4be88b8da650617ed32a','{}',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('run-20261126T203109-9b2457',8,'cut-8','135d8b9670733394589238db20edfd63e746cdb7d193f2200bc0cc1347b69092',NULL,0,NULL,60,NULL,NULL,NULL,93,'claude-haiku-5-5',15,'counted',9000,33500,'send',NULL,NULL,NULL,'att_4a6f986c85d643f697be2e736c0dc306','{}',NULL,NULL,NULL);
CREATE TABLE payloads (
	run_id VARCHAR(64) NOT NULL, 
	row_number BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_payloads PRIMARY KEY (run_id, row_number)
);
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',0,'{"messages":[{"role":"user","content":"Weigh truck 0. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',1,'{"messages":[{"role":"user","content":"Weigh truck 1. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',2,'{"messages":[{"role":"user","content":"Weigh truck 2. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',3,'{"messages":[{"role":"user","content":"Weigh truck 3. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',4,'{"messages":[{"role":"user","content":"Weigh truck 4. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',5,'{"messages":[{"role":"user","content":"Weigh truck 5. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',6,'{"messages":[{"role":"user","content":"Weigh truck 6. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',7,'{"messages":[{"role":"user","content":"Weigh truck 7. [[output_tokens=6]]"}],"max_tokens":60}');
INSERT INTO "payloads" VALUES('run-20261126T203109-9b2457',8,'{"messages":[{"role":"user","content":"Weigh truck 8. [[output_tokens=6]]"}],"max_tokens":60}');
CREATE TABLE responses (
	attempt_id VARCHAR(64) NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_responses PRIMARY KEY (attempt_id), 
	CONSTRAINT fk_responses_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (attempt_id)
);
INSERT INTO "responses" VALUES('att_351766c306ab4585b5b5273dd56d0b1d','{"id":"msg_sim_49953859f87500000009","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"thinking","thinking":"[simulated] ","signature":"c2ltdWxhdGVk"},{"type":"text","text":"[simulated] the ","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":22,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":5,"output_tokens_details":{"thinking_tokens":1},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_433e9eb0578141a5bee8da218264d840','{"id":"msg_sim_49953859f87500000010","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"[simulated] the lorry ro","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":6,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_61e095e98f23473b955944034699ed71','{"id":"msg_sim_49953859f87500000011","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"thinking","thinking":"[simulated] ","signature":"c2ltdWxhdGVk"},{"type":"text","text":"[simulated] the lorry ro","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":7,"output_tokens_details":{"thinking_tokens":1},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_06c46adffa3b43d3b34e332018ee08dd','{"id":"msg_sim_49953859f87500000012","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"thinking","thinking":"[simulated] ","signature":"c2ltdWxhdGVk"},{"type":"text","text":"[simulated] the lorry rolls ","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":8,"output_tokens_details":{"thinking_tokens":1},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_03cd1cf1f8e5418eab31daa633e3fae8','{"id":"msg_sim_49953859f87500000021","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"thinking","thinking":"[simulated] ","signature":"c2ltdWxhdGVk"},{"type":"text","text":"[simulated] the lorry rolls ","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":9,"output_tokens_details":{"thinking_tokens":2},"server_tool_use":null,"service_tier":"batch","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_1fd117ffd237402cbfac4f8bb8d2b81d','{"id":"msg_sim_49953859f87500000020","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"thinking","thinking":"[simulated] ","signature":"c2ltdWxhdGVk"},{"type":"text","text":"[simulated] the lorry rolls ","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":8,"output_tokens_details":{"thinking_tokens":1},"server_tool_use":null,"service_tier":"batch","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_2c8eeb18d6b545bc8b8ccd1493eb5670','{"id":"msg_sim_49953859f87500000019","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"[simulated] the lorry rolls ","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":7,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"service_tier":"batch","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_4314ac74afd74f8baf1037eb0f94a423','{"id":"msg_sim_e5cfb2dff4c700000957","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"[simulated] the lorry ro","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":6,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_5c8384d803a3404d86efa698fffdeabd','{"id":"msg_sim_e5cfb2dff4c700000955","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"[simulated] the lorry ro","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":9,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":6,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
INSERT INTO "responses" VALUES('att_cc957ec8f0bb49879e119bd34353008e','{"id":"msg_sim_e5cfb2dff4c700000956","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"[simulated] the lorry ro","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":18,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":6,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"service_tier":"standard","inference_geo":"global","speed":"standard"}}');
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
INSERT INTO "review_events" VALUES(1,1,'2026-11-26 20:29:36.413000','run-20261126T202933-147223',NULL,'pending',NULL,NULL,NULL);
INSERT INTO "review_events" VALUES(2,2,'2026-11-26 20:29:36.413000','run-20261126T202933-147223',NULL,'pending',NULL,NULL,NULL);
INSERT INTO "review_events" VALUES(3,3,'2026-11-26 20:29:36.471000','run-20261126T202933-147223',NULL,'pending',NULL,NULL,NULL);
INSERT INTO "review_events" VALUES(4,2,'2026-11-26 20:30:41.053000','ana','pending','approved','let it go',59,37900);
CREATE TABLE review_payloads (
	review_id INTEGER NOT NULL, 
	payload TEXT, 
	edited_payload TEXT, 
	CONSTRAINT pk_review_payloads PRIMARY KEY (review_id), 
	CONSTRAINT fk_review_payloads_review_id FOREIGN KEY(review_id) REFERENCES reviews (id) ON DELETE CASCADE
);
INSERT INTO "review_payloads" VALUES(1,'{"messages":[{"role":"user","content":"Weigh this. word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word "}],"max_tokens":60}',NULL);
INSERT INTO "review_payloads" VALUES(2,'{"messages":[{"role":"user","content":"Weigh that. word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word "}],"max_tokens":60}',NULL);
INSERT INTO "review_payloads" VALUES(3,'{"messages":[{"role":"user","content":"Weigh the lost parcel. [[output_tokens=9]]"}],"max_tokens":60}',NULL);
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
INSERT INTO "reviews" VALUES(1,'heavy','run-20261126T202933-147223','over_input_limit','59 input tokens counted, limit 10','raise the job''s own max_input_tokens to 59','pending','claude-haiku-5-5','text','counted',59,10,60,NULL,'2026-11-26 20:29:36.404305',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,37900,500000000,NULL,NULL,0,4,'2099bb7d76fd5d205bc6ba507eacd7cfd582c54de8060895a8167a06d2573550',NULL);
INSERT INTO "reviews" VALUES(2,'light','run-20261126T202933-147223','over_input_limit','59 input tokens counted, limit 10','raise the job''s own max_input_tokens to 59','approved','claude-haiku-5-5','text','counted',59,10,60,NULL,'2026-11-26 20:29:36.404305',NULL,NULL,'ana','2026-11-26 20:30:40.953749','let it go',59,'2999-12-10 20:30:40.953749',NULL,NULL,2,37900,500000000,37900,NULL,0,5,'166b9fb2ae698087e26c07d65f5abfd10b0080139bfad8a63032af23ac302cb4',NULL);
INSERT INTO "reviews" VALUES(3,'lost','run-20261126T202933-147223','unknown_outcome','the connection was lost or timed out after the request left (ConnectError); it may have been billed, so its hold stays until a person decides','approve it: it is sent again, although it may have been billed
reject it: it is not sent again
either way its hold stays until `weighbridge review settle` books what was billed','pending','claude-haiku-5-5','text','counted',17,32000,60,NULL,'2026-11-26 20:29:36.444411',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,33700,500000000,NULL,NULL,0,7,'7a320e8babf7e0a581f63b9cae76627ee9c74a0861e5a7f90029274cc93fb2a5',NULL);
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
	report JSON, 
	CONSTRAINT pk_runs PRIMARY KEY (run_id)
);
INSERT INTO "runs" VALUES('run-20261126T202933-147223','first.parquet','data/results/run-20261126T202933-147223','end-to-end','{"name": "end-to-end", "time_zone": "UTC", "mode": "messages", "on_unknown": "review", "max_task_runs": 200, "routes": [{"name": "small", "model": "claude-haiku-5-5", "up_to_input_tokens": 1500}, {"name": "middle", "model": "claude-sonnet-5-5", "up_to_input_tokens": 8000}, {"name": "large", "model": "claude-opus-5-5", "up_to_input_tokens": 200000}], "request": {"max_input_tokens": 32000, "max_cost_usd": "0.50"}, "run": {"budget_usd": "10"}, "day": {"budget_usd": "100"}, "month": {"budget_usd": null}, "groups": {}, "output": {"default_max_tokens": 1024, "expected_share": "0.25"}, "margin": {"input_percent": "3", "input_tokens": 20, "learn": true, "last_answers": 2000, "min_samples": 50, "cushion": "1.5", "least_percent": "0.5", "least_tokens": 10}, "uncountable": {"on": "review"}, "hold": {"output_percentile": null, "reserve_usd": "0"}, "limits": {"messages_per_minute": 30000, "count_per_minute": 30000, "max_in_flight": 3, "request_timeout_seconds": 60, "tries": 6, "max_wait_seconds": 120}, "batch": {"max_requests": 10000, "max_bytes": 100000000, "max_queued_requests": 200000, "poll_seconds": "0.3", "absent_after_seconds": "300"}, "pricing": {"workspace_geo": "global"}, "prices": []}','messages','http://127.0.0.1:8080',1,'f2bd9112-232f-44c4-9770-2d533dfc38d3','old-host',10014,1795724943,'2026-11-26 20:29:34.402097','2026-11-26 20:29:34.402097','2026-11-26 20:29:38.400457','incomplete','{"run_id": "run-20261126T202933-147223", "outcome": "incomplete", "jobs": {"read": 8, "succeeded": 4, "review": 2, "deferred": 0, "rejected": 1, "failed": 0, "unknown": 1}, "tokens": {"estimated_input": 60, "actual_input": 48, "actual_output": 26}, "usd": {"worst_case": "0.000134000", "estimated": "0.000036000", "estimated_low": null, "estimated_high": null, "actual": "0.000017800", "all_on_largest": "0.000712000", "held": "0.000033700"}, "calls": {"count": 7, "message": 5, "batch_create": 0, "retried": 0}, "batches": 0, "mode": "messages", "seconds": 5.076, "simulated": true, "from_earlier_runs": 0, "over_bound": 0, "largest_model": "claude-opus-5-5", "models": [{"model": "claude-haiku-5-5", "jobs": 4, "estimated_input": 60, "actual_input": 48, "actual_output": 26, "estimated_usd": "0.000036000", "actual_usd": "0.000017800", "partial": 0}], "assumed_jobs": 4, "assumed_share": "0.25", "hold_percentile": null, "lessons": [{"model": "claude-haiku-5-5", "payload_class": "text", "n": 0, "enough": false, "input_error": null, "output_tokens": null, "margin": {"percent": "3", "tokens": 20, "from": "policy"}}], "taught": [{"model": "claude-haiku-5-5", "payload_class": "text", "jobs": 4, "n": 4, "over_bound": 0, "input_error": {"p5": "-46.667", "p50": "-46.667", "p95": "46.667", "p99": "46.667", "max": "46.667"}, "input_error_tokens": {"p5": "-7", "p50": "-7", "p95": "7", "p99": "7", "max": "7"}}], "drift": [], "reasons": [{"outcome": "rejected", "reason": "invalid_row", "jobs": 1, "example_job_id": "broken", "example_detail": "max_tokens: is 0, must be at least 1"}, {"outcome": "review", "reason": "over_input_limit", "jobs": 2, "example_job_id": "heavy", "example_detail": "59 input tokens counted, limit 10"}, {"outcome": "unknown", "reason": "unknown_outcome", "jobs": 1, "example_job_id": "lost", "example_detail": "the connection was lost or timed out after the request left (ConnectError); it may have been billed, so its hold stays until a person decides"}], "rows_to_mend": [{"row_number": 6, "job_id": "broken", "outcome": "rejected", "detail": "max_tokens: is 0, must be at least 1"}, {"row_number": 7, "job_id": "lost", "outcome": "unknown", "detail": "the connection was lost or timed out after the request left (ConnectError); it may have been billed, so its hold stays until a person decides"}], "places": {"ledger": "sqlite:///data/ledger.db", "results": "data/results/run-20261126T202933-147223", "report": "data/results/run-20261126T202933-147223/report.md"}, "prefect_flow_run_id": "f2bd9112-232f-44c4-9770-2d533dfc38d3", "error": null}');
INSERT INTO "runs" VALUES('run-20261126T203010-94bb7e','batched.parquet','data/results/run-20261126T203010-94bb7e','end-to-end','{"name": "end-to-end", "time_zone": "UTC", "mode": "batches", "on_unknown": "review", "max_task_runs": 200, "routes": [{"name": "small", "model": "claude-haiku-5-5", "up_to_input_tokens": 1500}, {"name": "middle", "model": "claude-sonnet-5-5", "up_to_input_tokens": 8000}, {"name": "large", "model": "claude-opus-5-5", "up_to_input_tokens": 200000}], "request": {"max_input_tokens": 32000, "max_cost_usd": "0.50"}, "run": {"budget_usd": "10"}, "day": {"budget_usd": "100"}, "month": {"budget_usd": null}, "groups": {}, "output": {"default_max_tokens": 1024, "expected_share": "0.25"}, "margin": {"input_percent": "3", "input_tokens": 20, "learn": true, "last_answers": 2000, "min_samples": 50, "cushion": "1.5", "least_percent": "0.5", "least_tokens": 10}, "uncountable": {"on": "review"}, "hold": {"output_percentile": null, "reserve_usd": "0"}, "limits": {"messages_per_minute": 30000, "count_per_minute": 30000, "max_in_flight": 3, "request_timeout_seconds": 60, "tries": 6, "max_wait_seconds": 120}, "batch": {"max_requests": 10000, "max_bytes": 100000000, "max_queued_requests": 200000, "poll_seconds": "0.3", "absent_after_seconds": "300"}, "pricing": {"workspace_geo": "global"}, "prices": []}','batches','http://127.0.0.1:8080',1,'09085088-0f74-4f6f-8bef-af6d96aaa9ed','old-host',10477,1795724983,'2026-11-26 20:30:10.760106','2026-11-26 20:30:10.760106','2026-11-26 20:30:17.725855','complete','{"run_id": "run-20261126T203010-94bb7e", "outcome": "complete", "jobs": {"read": 3, "succeeded": 3, "review": 0, "deferred": 0, "rejected": 0, "failed": 0, "unknown": 0}, "tokens": {"estimated_input": 45, "actual_input": 45, "actual_output": 24}, "usd": {"worst_case": "0.000050250", "estimated": "0.000013500", "estimated_low": null, "estimated_high": null, "actual": "0.000008250", "all_on_largest": "0.000330000", "held": "0.000000000"}, "calls": {"count": 3, "message": 0, "batch_create": 1, "retried": 0}, "batches": 1, "mode": "batches", "seconds": 7.41, "simulated": true, "from_earlier_runs": 0, "over_bound": 0, "largest_model": "claude-opus-5-5", "models": [{"model": "claude-haiku-5-5", "jobs": 3, "estimated_input": 45, "actual_input": 45, "actual_output": 24, "estimated_usd": "0.000013500", "actual_usd": "0.000008250", "partial": 0}], "assumed_jobs": 3, "assumed_share": "0.25", "hold_percentile": null, "lessons": [{"model": "claude-haiku-5-5", "payload_class": "text", "n": 4, "enough": false, "input_error": {"p5": "-46.667", "p50": "-46.667", "p95": "46.667", "p99": "46.667", "max": "46.667"}, "output_tokens": {"p5": 5, "p50": 6, "p95": 8, "mean": 7, "thinking_share": "0.115"}, "margin": {"percent": "3.000", "tokens": 20, "from": "policy"}}], "taught": [{"model": "claude-haiku-5-5", "payload_class": "text", "jobs": 3, "n": 3, "over_bound": 0, "input_error": {"p5": "-20.000", "p50": "-20.000", "p95": "40.000", "p99": "40.000", "max": "40.000"}, "input_error_tokens": {"p5": "-3", "p50": "-3", "p95": "6", "p99": "6", "max": "6"}}], "drift": [], "reasons": [], "rows_to_mend": [], "places": {"ledger": "sqlite:///data/ledger.db", "results": "data/results/run-20261126T203010-94bb7e", "report": "data/results/run-20261126T203010-94bb7e/report.md"}, "prefect_flow_run_id": "09085088-0f74-4f6f-8bef-af6d96aaa9ed", "error": null}');
INSERT INTO "runs" VALUES('run-20261126T203109-9b2457','killed.parquet','data/results/run-20261126T203109-9b2457','end-to-end','{"name": "end-to-end", "time_zone": "UTC", "mode": "messages", "on_unknown": "review", "max_task_runs": 200, "routes": [{"name": "small", "model": "claude-haiku-5-5", "up_to_input_tokens": 1500}, {"name": "middle", "model": "claude-sonnet-5-5", "up_to_input_tokens": 8000}, {"name": "large", "model": "claude-opus-5-5", "up_to_input_tokens": 200000}], "request": {"max_input_tokens": 32000, "max_cost_usd": "0.50"}, "run": {"budget_usd": "10"}, "day": {"budget_usd": "100"}, "month": {"budget_usd": null}, "groups": {}, "output": {"default_max_tokens": 1024, "expected_share": "0.25"}, "margin": {"input_percent": "3", "input_tokens": 20, "learn": true, "last_answers": 2000, "min_samples": 50, "cushion": "1.5", "least_percent": "0.5", "least_tokens": 10}, "uncountable": {"on": "review"}, "hold": {"output_percentile": null, "reserve_usd": "0"}, "limits": {"messages_per_minute": 30000, "count_per_minute": 30000, "max_in_flight": 3, "request_timeout_seconds": 60, "tries": 6, "max_wait_seconds": 120}, "batch": {"max_requests": 10000, "max_bytes": 100000000, "max_queued_requests": 200000, "poll_seconds": "0.3", "absent_after_seconds": "300"}, "pricing": {"workspace_geo": "global"}, "prices": []}','messages','http://127.0.0.1:8080',1,'e2ce1264-3934-440c-85a4-9db56cbdd122','old-host',11458,1795725045,'2026-11-26 20:31:09.815279','2026-11-26 20:31:09.815279',NULL,NULL,NULL);
CREATE INDEX ix_attempts_fingerprint_job_id ON attempts (fingerprint, job_id);
CREATE INDEX ix_attempts_run_id_state ON attempts (run_id, state);
CREATE UNIQUE INDEX uq_attempts_live ON attempts (fingerprint, job_id) WHERE state IN ('open', 'succeeded');
CREATE INDEX ix_jobs_attempt_id ON jobs (attempt_id);
CREATE INDEX ix_jobs_run_id_job_id ON jobs (run_id, job_id);
CREATE INDEX ix_jobs_queue ON jobs (run_id, priority DESC, row_number) WHERE outcome IS NULL AND attempt_id IS NULL;
CREATE INDEX ix_batches_run_id_state ON batches (run_id, state);
CREATE INDEX ix_attempts_batch_id ON attempts (batch_id);
CREATE INDEX ix_attempts_observed ON attempts (model, payload_class, ended_at) WHERE state = 'succeeded';
CREATE INDEX ix_attempts_ended_at ON attempts (ended_at);
CREATE INDEX ix_reviews_run_id ON reviews (run_id);
CREATE INDEX ix_reviews_fingerprint ON reviews (fingerprint);
CREATE INDEX ix_reviews_status ON reviews (status);
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
COMMIT;

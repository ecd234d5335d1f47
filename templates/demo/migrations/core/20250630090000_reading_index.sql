-- migrate:up transaction:false
-- Meter readings are the biggest table of a company: its index is built while meters go on reporting.
create index concurrently meter_readings_high_voltage on meter_readings (meter_id, read_at) where voltage > 260;

-- migrate:down transaction:false
drop index concurrently meter_readings_high_voltage;

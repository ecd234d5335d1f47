drop materialized view daily_consumption;

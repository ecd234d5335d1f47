import { eachNode, textsOf } from './tree.ts';

/** Functions of PostgreSQL and of its usual extensions that return something else for each row. */
const VOLATILE = new Set(
  `random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday nextval setval currval lastval txid_current
  gen_random_bytes gen_salt uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 pg_sleep pg_sleep_for pg_sleep_until
  set_config setseed`.split(/\s+/),
);

/** Of the rest of PostgreSQL's, what stands in defaults; any other name may be somebody's own function. */
const STEADY = new Set(
  `now transaction_timestamp statement_timestamp current_timestamp current_setting current_schema current_database
  session_user timezone date_trunc date_part extract make_date make_time make_timestamp make_timestamptz make_interval to_timestamp
  to_date to_char to_number to_json to_jsonb json_build_object jsonb_build_object json_build_array jsonb_build_array json_object
  jsonb_object array_fill string_to_array lower upper initcap btrim ltrim rtrim trim concat concat_ws format md5 sha256 sha512
  encode decode convert_to convert_from replace substring substr left right lpad rpad length repeat reverse translate abs
  round ceil ceiling floor trunc power sqrt mod coalesce greatest least nullif array_length cardinality int4range int8range
  numrange tsrange tstzrange daterange age inet_client_addr txid_current_if_assigned pg_backend_pid chr ascii hashtext text
  date int4 int8 int2 float8 numeric bool uuid_nil uuid_ns_dns uuid_ns_url`.split(/\s+/),
);

/** What an expression calls: surely volatile functions, and ones that are not known here. */
export interface Calls {
  volatile: string[];
  unknown: string[];
}

export function callsOf(expression: unknown): Calls {
  const calls: Calls = { volatile: [], unknown: [] };
  eachNode(expression, (kind, fields) => {
    if (kind !== 'FuncCall') return;
    const name = textsOf(fields['funcname']).at(-1) ?? '';
    if (VOLATILE.has(name)) calls.volatile.push(name);
    else if (!STEADY.has(name)) calls.unknown.push(name);
  });
  return calls;
}

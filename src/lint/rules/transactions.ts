import { eachNode, fieldsOf, textsOf } from '../../engine/sql/effects/tree.ts';
import { scan } from '../../engine/sql/scan.ts';
import type { Rule } from '../rule.ts';
import type { Statement } from '../statements.ts';

const enumValue: Rule = {
  id: 'enum-value-in-transaction',
  severity: 'error',
  hazard:
    "A value that was added to an enum type can't be used before its transaction is committed: the migration fails.",
  statement(statement, { before }) {
    const made = new Set(
      before.filter(({ kind }) => kind === 'CreateEnumStmt').map(({ node }) => typeIn(node)),
    );
    const added = before.filter(
      ({ kind, node }) => kind === 'AlterEnumStmt' && node['newVal'] && !made.has(typeIn(node)),
    );
    if (added.length === 0) return [];
    const used = new Set<string>();
    if (!/^(?:AlterEnum|CreateEnum|Comment)/.test(statement.kind)) {
      eachNode(statement.tree, (kind, fields) => {
        const { sval } = fields as { sval?: { sval?: string } };
        if (kind === 'A_Const' && sval?.sval !== undefined) used.add(sval.sval);
      });
    }
    const first = added.find(({ node }) => node['oldVal'] === undefined && used.has(String(node['newVal'])));
    if (!first) return [];
    const value = String(first.node['newVal']);
    return [
      {
        message: `uses '${value}', which the same transaction added to ${typeIn(first.node)}`,
        safe: `-- in a migration of its own, before this one\n${first.text};`,
      },
    ];
  },
};

function typeIn(node: Record<string, unknown>): string {
  return textsOf(node['typeName']).join('.');
}

const CONTROL = /^(?:begin|start transaction|commit|end|abort|rollback(?! (?:work |transaction )?to\b))/;

const transactionControl: Rule = {
  id: 'transaction-control',
  severity: 'error',
  hazard:
    'BEGIN and COMMIT within a migration end nothing: it runs in one transaction, and keeps all locks to its end.',
  file({ migration: { up }, statements }) {
    if (up.kind !== 'sql' || !up.options.transaction) return [];
    const { statements: all } = scan(up.text.slice(up.start, up.start + up.sql.length));
    const controls = all.filter(({ words }) => CONTROL.test(words.join(' ')));
    const [first, last] = [all[0], all.at(-1)];
    if (controls.length === 0 || (controls.length === 2 && controls[0] === first && controls[1] === last))
      return [];
    const second = controls.length > 2 ? controls[2] : controls[0];
    const at = statements.findLast(({ start }) => start <= up.start + (second?.start ?? 0)) ?? statements[0];
    return [
      {
        ...(at && { at }),
        message: 'BEGIN and COMMIT are not sent: the whole file is one transaction',
        safe: '-- a migration for each transaction; or, to keep them, behind the marker:\n-- migrate:up transaction:false',
      },
    ];
  },
};

const sessionSetting: Rule = {
  id: 'session-setting',
  severity: 'warn',
  hazard:
    'A setting without LOCAL outlives the migration: those that follow in the same session run with it.',
  statement(statement, { before }) {
    if (!statement.inTransaction || settingIn(statement) === undefined) return [];
    // One of many says enough.
    if (before.some((each) => settingIn(each) !== undefined)) return [];
    return [
      {
        message: `sets ${settingIn(statement)} for the session`,
        safe: /^\s*set\s/i.test(statement.text)
          ? `${statement.text.replace(/^\s*set\s+(?:session\s+)?/i, 'set local ')};`
          : `${statement.text.replace(/\bfalse\b(?=[^,]*$)/i, 'true')};`,
      },
    ];
  },
};

function settingIn({ kind, node, tree }: Statement): string | undefined {
  if (kind === 'VariableSetStmt') {
    const isReset = String(node['kind']).startsWith('VAR_RESET');
    return node['is_local'] || isReset || String(node['name']).startsWith('TRANSACTION')
      ? undefined
      : String(node['name']);
  }
  if (kind !== 'SelectStmt') return undefined;
  let name: string | undefined;
  eachNode(tree, (call, fields) => {
    if (call !== 'FuncCall' || textsOf(fields['funcname']).at(-1) !== 'set_config') return;
    const [setting, , isLocal] = fieldsOf(fields['args']) as {
      sval?: { sval: string };
      boolval?: { boolval?: boolean };
    }[];
    if (isLocal?.boolval && !isLocal.boolval.boolval) name = setting?.sval?.sval ?? 'a setting';
  });
  return name;
}

export const TRANSACTION_RULES = [enumValue, transactionControl, sessionSetting];

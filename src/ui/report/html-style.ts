/** The report's look; light and dark, from a telephone's width to a desk's. */
export const STYLE = `
:root {
  --page: #f6f7f9; --card: #fff; --text: #1b2026; --soft: #59636e; --line: #d8dee4; --code: #f0f2f5; --mark: #ffe9e7;
  --good: #1a7f37; --good-text: #fff; --calm: #cfe8d5; --calm-text: #114d22; --bad: #c21f26; --bad-text: #fff;
  --warn: #f2b705; --warn-text: #221a00; --odd: #6f42c1; --odd-text: #fff; --none: #e4e8ec; --none-text: #4c5560; --bar: #4173b3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #181e25; --text: #e4e9ee; --soft: #9aa5b1; --line: #2e3741; --code: #11161c; --mark: #4a1d20;
    --good: #2da44e; --good-text: #06140a; --calm: #1e3b28; --calm-text: #a9dcb8; --bad: #ff7b72; --bad-text: #2b0505;
    --warn: #e3b341; --warn-text: #221a00; --odd: #b392f0; --odd-text: #180b30; --none: #2a323b; --none-text: #a9b4bf; --bar: #6ea3e0;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 16px; }
header, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin-bottom: 16px; }
h1 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 12px; }
h3 { font-size: .95rem; margin: 16px 0 8px; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .875rem; }
p { margin: 8px 0; overflow-wrap: anywhere; }
.verdict { font-size: 1.35rem; font-weight: 600; line-height: 1.3; }
.verdict.fine span { color: var(--good); } .verdict.wrong span { color: var(--bad); }
dl { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 0; }
dt { font-size: .8rem; color: var(--soft); } dd { margin: 0; }
.note, .names { color: var(--soft); font-size: .875rem; }
ul { margin: 0; padding-left: 20px; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 8px 20px; margin-bottom: 12px; }
.tiles { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px; }
.tile { width: 16px; height: 16px; border-radius: 2px; font: 700 11px/16px system-ui, sans-serif; text-align: center; background: var(--none); color: var(--none-text); }
i.tile { display: inline-block; }
.tiles.named { gap: 6px; }
.tiles.named .tile { width: auto; height: auto; padding: 4px 10px; font-size: 13px; line-height: 20px; border-radius: 4px; }
.tile span { font-weight: 400; margin-left: 4px; overflow-wrap: anywhere; }
.failed, .refused, .drifted { background: var(--bad); color: var(--bad-text); }
.failed, .refused, .drifted { outline: 2px solid var(--text); outline-offset: -2px; }
.refused { border-radius: 8px; }
.busy { background: var(--warn); color: var(--warn-text); }
.migrated, .executed, .rehearsed { background: var(--good); color: var(--good-text); }
.reverted, .pending { background: var(--odd); color: var(--odd-text); }
.current { background: var(--calm); color: var(--calm-text); }
.skipped { outline: 1px dashed var(--soft); outline-offset: -1px; }
details { border-top: 1px solid var(--line); padding: 8px 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary b { color: var(--bad); margin-right: 6px; }
figure { margin: 8px 0; }
figcaption { overflow-wrap: anywhere; }
pre { background: var(--code); border-radius: 6px; padding: 10px; margin: 8px 0; overflow-x: auto; }
pre.message, pre.hint { white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; display: inline-block; min-width: 100%; }
.bars { list-style: none; margin: 0; padding: 0; display: flex; gap: 4px; height: 190px; align-items: stretch; }
.bars li { flex: 1 1 0; min-width: 0; display: flex; flex-direction: column; justify-content: flex-end; text-align: center; }
.bars .number { font-size: .75rem; }
.bars .bar { background: var(--bar); border-radius: 3px 3px 0 0; min-height: 1px; flex: 0 1 auto; }
.bars .label { font-size: .7rem; color: var(--soft); border-top: 1px solid var(--line); padding-top: 4px; height: 34px; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: 4px 8px 4px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
th, table:not(.plain) td:nth-child(2) { white-space: nowrap; }
.wide { overflow-x: auto; }
.plain { min-width: 760px; } .plain td { min-width: 4.5rem; vertical-align: top; } .plain td:nth-child(2) { min-width: 16rem; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; }
table:not(.plain) :is(td, th):nth-child(n+3) { text-align: right; white-space: nowrap; }
@media print { body { background: #fff; } .tile { print-color-adjust: exact; } }
`;

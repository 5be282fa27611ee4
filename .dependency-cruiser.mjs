/** The arrows of the house, types too: `npm run check:imports`. */
const forbid = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to })

export default {
  forbidden: [
    forbid('no-circle', {}, { circular: true }, 'What imports each other can only be read together.'),
    forbid(
      'entry',
      { pathNot: '^lib/(index|testing)\\.ts$' },
      { path: '^lib/middleware\\.ts$' },
      'Only the entry imports it.',
    ),
    forbid(
      'callback',
      { path: '^lib/callback/' },
      { path: '^lib/', pathNot: '^lib/(callback|util)/|^lib/(errors|debug)\\.ts$' },
      'callback/ knows nothing of inboxes and handlers.',
    ),
    forbid(
      'inbox',
      { path: '^lib/inbox/' },
      {
        path: '^lib/',
        pathNot:
          '^lib/(inbox|util)/|^lib/(errors|faults|debug)\\.ts$|^lib/callback/(conversion|issues|received|schema|via)\\.ts$',
      },
      'inbox/ knows nothing of HTTP; of callback/ it knows what a callback is.',
    ),
    forbid(
      'contracts',
      { path: '^lib/inbox/(inbox|operators|vocabulary)\\.ts$' },
      {
        path: '^lib/',
        pathNot: '^lib/inbox/(inbox|operators|vocabulary|quarantine)\\.ts$|^lib/(errors|callback/.*)\\.ts$',
      },
      'Contracts import no implementation.',
    ),
    forbid(
      'rules',
      { path: '^lib/inbox/(ledger|claims|delivery|transitions|records|identity)\\.ts$' },
      { path: '^lib/inbox/stores/' },
      'Rules know no store.',
    ),
    forbid('util', { path: '^lib/util/' }, { path: '^lib/', pathNot: '^lib/util/' }, 'Helpers know nothing of us.'),
    forbid(
      'tools',
      { path: '^lib/(cli|inspector)/' },
      {
        path: '^lib/(callback|inbox)/|^lib/[a-z]+\\.ts$',
        pathNot: '^lib/(index|sqlite|postgres|testing|inspector|debug|errors|faults)\\.ts$',
      },
      'cli/ and inspector/ use the public surface, debug lines, and errors with their codes.',
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
}

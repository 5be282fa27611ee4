import config from './jest.config.mjs'

process.env.CASES ??= '0.1' // of the random cases that `npm test` tries; workers get it with the environment

/**
 * The tests whose subject may behave otherwise on another version of Node: the core and the inboxes. Those of the durable inboxes skip
 * themselves where there is no `node:sqlite`, and that is where there is no pg-boss either.
 */
export default {
  ...config,
  testPathIgnorePatterns: [
    // Many processes, packages and documents.
    '/__tests__/(crash|documents|examples|flood|network|packaging|soak)/',
    // The same rules again and again, without input or output, and how their time grows.
    '/__tests__/properties/(claims|claims-batch|ledger|linear)\\.test',
    // What PostgreSQL's server, a network and other libraries do, and what a browser does.
    '/__tests__/contract/postgres\\.test',
    '/__tests__/inbox/(postgres-(clocks|forgetting|settings|storm)|libraries|lost-connections)\\.test',
    '/__tests__/inspector/(page|screenshots)\\.test',
  ],
}

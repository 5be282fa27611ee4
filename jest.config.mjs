import { availableParallelism } from 'node:os'

/** Sources run as CommonJS through ts-jest, which only strips types: `npm run typecheck` judges them. */
export default {
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.jest.json' }] },
  moduleNameMapper: {
    '^\\.\\./page/(.*)$': '<rootDir>/dist/page/$1', // what the inspector serves is built
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^conversion-webhook$': '<rootDir>/lib/index.ts',
    '^conversion-webhook/(sqlite|postgres|inspector|testing)$': '<rootDir>/lib/$1.ts',
    '^pg-boss$': '<rootDir>/__tests__/support/pg-boss.cjs',
    '^kysely$': '<rootDir>/__tests__/support/kysely.cjs',
  },
  // The page runs in the browser and the command's entry in processes of its own: their tests are there, where nothing is counted.
  collectCoverageFrom: [
    'lib/**/*.ts',
    '!lib/**/*.generated.ts',
    '!lib/index.ts',
    '!lib/cli.ts',
    '!lib/inspector/page/**',
  ],
  coverageThreshold: { global: { lines: 95, branches: 95 } },
  coverageReporters: ['text-summary', 'text', 'lcovonly'],
  maxWorkers: availableParallelism() + 1, // most of the time a test waits for a timer, a disk or another process
  testEnvironment: './__tests__/support/environment.cjs',
  testSequencer: './__tests__/support/sequencer.cjs',
  testTimeout: 60_000,
}

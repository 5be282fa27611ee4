/** Sources run as CommonJS through ts-jest, which only strips types: `npm run typecheck` judges them. */
export default {
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.jest.json' }] },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^pg-boss$': '<rootDir>/__tests__/support/pg-boss.cjs',
  },
  collectCoverageFrom: ['lib/**/*.ts', '!lib/**/*.generated.ts', '!lib/index.ts'],
  coverageThreshold: { global: { lines: 95, branches: 95 } },
  coverageReporters: ['text-summary', 'text', 'lcovonly'],
  testEnvironment: './__tests__/support/environment.cjs',
  testTimeout: 20_000,
}

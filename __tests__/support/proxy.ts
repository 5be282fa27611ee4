export interface Proxy {
  readonly url: string
  /** Silently drops all data of the open connections, also that they are closed, in both directions. */
  swallow(): void
  /** Sets whether new connections are swallowed too. */
  swallowNew(isOn: boolean): void
  /** Sets the delay of all data, in each direction. */
  delay(ms: number): void
  /** Closes all open connections; both ends notice. */
  cut(): void
  close(): Promise<void>
}

/** Starts a proxy in front of a server, through which a test can break the network. */
export function startProxy(url: string): Promise<Proxy> {
  const { nativeRequire } = globalThis as unknown as { nativeRequire: NodeJS.Require }
  const proxy = nativeRequire('../network/proxy.mjs') as { startProxy: (url: string) => Promise<Proxy> }
  return proxy.startProxy(url)
}

import { SyncManager, syncService } from '../../../../client/compat/index.js';

/** As the app has it: it holds the manager, and logs out before and after it is initialized. */
export class AuthService {
  private readonly manager: SyncManager = SyncManager.getInstance();
  user: string | null = 'stored';

  async logIn(serverUrl: string, userId: string): Promise<void> {
    this.user = userId;
    await this.manager.initialize({ serverUrl, userId, deviceId: 'desk', autoConnect: false });
  }

  async logOut(): Promise<void> {
    await syncService.setAutoSync(false);
    await this.manager.disconnect();
    this.user = null;
  }
}

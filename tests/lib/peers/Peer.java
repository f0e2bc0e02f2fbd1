import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/*
 * java Peer.java client PORT ROOT-PEM step... | server PKCS12 PASSWORD step...: a smaller peer.c on Java's own TLS, with the same lines.
 * A client presents what is in the store of -Dpeer.identity=PKCS12, password secret; -Dpeer.name=HOST is the name that it asks for,
 * -Dpeer.protocol=NAME the application protocol; with -Dpeer.check=1 it checks that the certificate is for the address 127.0.0.1.
 * Steps: send N, readall, both N, notify (half-close), close, pause MS
 */
public class Peer {
	static SSLSocket socket;
	static InputStream in;
	static OutputStream out;
	static long sent, received;

	static void say(String words) {
		System.out.println(words);
		System.out.flush();
	}

	static void send(long left) throws Exception {
		byte[] chunk = new byte[65536];
		while (left > 0) {
			int n = (int) Math.min(left, chunk.length);
			for (int i = 0; i < n; i++)
				chunk[i] = (byte) ((sent + i) % 251);
			out.write(chunk, 0, n);
			sent += n;
			left -= n;
		}
		out.flush();
	}

	static void receive() throws Exception {
		byte[] chunk = new byte[65536];
		String end = "close_notify";
		try {
			for (int n; (n = in.read(chunk)) >= 0; received += n)
				for (int i = 0; i < n; i++)
					if (chunk[i] != (byte) ((received + i) % 251))
						throw new IllegalStateException("other bytes than expected");
		} catch (java.io.IOException e) {
			end = e.toString();
		}
		say("received " + received);
		say("end " + end);
	}

	static void both(long n) throws Exception {
		Thread sender = new Thread(() -> {
			try {
				send(n);
				socket.shutdownOutput();
			} catch (Exception e) {
				say("send failed " + e);
			}
		});
		sender.start();
		receive();
		sender.join();
	}

	static KeyManager[] identity(String path, String password) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");
		KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
		store.load(new FileInputStream(path), password.toCharArray());
		keys.init(store, password.toCharArray());
		return keys.getKeyManagers();
	}

	static SSLContext context(String[] a) throws Exception {
		SSLContext context = SSLContext.getInstance("TLS");
		KeyStore store = KeyStore.getInstance("PKCS12");
		String own = System.getProperty("peer.identity");
		if (a[0].equals("server")) {
			context.init(identity(a[1], a[2]), null, new SecureRandom());
		} else {
			TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
			store.load(null, null);
			store.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(a[2])));
			trust.init(store);
			context.init(own == null ? null : identity(own, "secret"), trust.getTrustManagers(), new SecureRandom());
		}
		return context;
	}

	public static void main(String[] a) throws Exception {
		if (a[0].equals("server")) {
			SSLServerSocket listening = (SSLServerSocket) context(a).getServerSocketFactory().createServerSocket(0, 5,
				java.net.InetAddress.getByName("127.0.0.1"));
			say("" + listening.getLocalPort());
			socket = (SSLSocket) listening.accept();
		} else {
			socket = (SSLSocket) context(a).getSocketFactory().createSocket("127.0.0.1", Integer.parseInt(a[1]));
		}
		socket.setSoTimeout(25000);
		SSLParameters wishes = socket.getSSLParameters();
		if (System.getProperty("peer.name") != null)
			wishes.setServerNames(List.of(new SNIHostName(System.getProperty("peer.name"))));
		if (System.getProperty("peer.protocol") != null)
			wishes.setApplicationProtocols(new String[] { System.getProperty("peer.protocol") });
		if (System.getProperty("peer.check") != null)
			wishes.setEndpointIdentificationAlgorithm("HTTPS");
		socket.setSSLParameters(wishes);
		socket.startHandshake();
		say("open " + socket.getSession().getProtocol() + " " + socket.getSession().getCipherSuite());
		if (System.getProperty("peer.protocol") != null)
			say("protocol " + socket.getApplicationProtocol());
		in = socket.getInputStream();
		out = socket.getOutputStream();
		for (int i = 3; i < a.length; i++) {
			switch (a[i]) {
			case "send": send(Long.parseLong(a[++i])); break;
			case "readall": receive(); break;
			case "both": both(Long.parseLong(a[++i])); break;
			case "notify": socket.shutdownOutput(); break;
			case "close": socket.close(); break;
			case "pause": Thread.sleep(Long.parseLong(a[++i])); break;
			default: throw new IllegalArgumentException(a[i]);
			}
		}
	}
}
